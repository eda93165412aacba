// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/peer_name.h"

#include <charconv>
#include <string_view>

namespace vedette {

// Objects are "PEER:PORT/PROTOCOL" outbound, "PEER -> PORT/PROTOCOL" inbound; a peer may hold
// colons and slashes.
std::optional<PeerName> PeerNameOf(const Act& act) {
  if (act.channel != Channel::kConnect && act.channel != Channel::kAccept) {
    return std::nullopt;
  }
  PeerName name;
  name.inbound = act.channel == Channel::kAccept;
  const std::string_view separator = name.inbound ? " -> " : ":";
  const std::string_view object = act.object;
  const size_t slash = object.rfind('/');
  if (slash == std::string_view::npos) {
    return std::nullopt;
  }
  const size_t at = object.rfind(separator, slash);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const char* port = object.data() + at + separator.size();
  const char* end = object.data() + slash;
  if (auto [stop, error] = std::from_chars(port, end, name.port);
      error != std::errc() || stop != end) {
    return std::nullopt;
  }
  name.peer = object.substr(0, at);
  name.protocol = object.substr(slash + 1);
  return name;
}

}  // namespace vedette
