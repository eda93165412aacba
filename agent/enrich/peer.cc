// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/peer.h"

#include <algorithm>

#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kV4Offset = 12;

IpAddress V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
}

std::string NetworkOfV4(const IpAddress& address) {
  const uint8_t a = address.bytes[kV4Offset];
  const uint8_t b = address.bytes[kV4Offset + 1];
  if (a == 127 || address == V4(0, 0, 0, 0)) {
    return "loopback";
  }
  if (address == V4(169, 254, 169, 254)) {
    return "169.254.169.254/32";
  }
  if (a == 169 && b == 254) {
    return "link-local";
  }
  if (a >= 224 && a < 240) {
    return "multicast";
  }
  if (address == V4(255, 255, 255, 255)) {
    return "broadcast";
  }
  return V4(a, b, address.bytes[kV4Offset + 2], 0).ToString() + "/24";
}

IpAddress Wildcard(const IpAddress& address) {
  return address.is_v4() ? V4(0, 0, 0, 0) : IpAddress();
}

}  // namespace

std::string NetworkOf(const IpAddress& address) {
  if (address.is_v4()) {
    return NetworkOfV4(address);
  }
  IpAddress loopback;
  loopback.bytes.back() = 1;
  // To connect to the unspecified address is to connect to this host.
  if (address == loopback || address == IpAddress()) {
    return "loopback";
  }
  if (address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80) {
    return "link-local";
  }
  if (address.bytes[0] == 0xff) {
    return "multicast";
  }
  IpAddress network = address;
  std::fill(network.bytes.begin() + 8, network.bytes.end(), 0);
  return network.ToString() + "/64";
}

std::string PeerInfo::StableName() const {
  if (!dns_name.empty()) {
    return "dns:" + dns_name;
  }
  if (!workload.empty()) {
    return "workload:" + workload;
  }
  return "net:" + network;
}

ListenerTable::Key ListenerTable::KeyOf(const FlowEvent& flow, const Endpoint& local) {
  return {flow.process.namespaces.net, flow.protocol, local};
}

void ListenerTable::Listen(const std::string& workload, const FlowEvent& flow, absl::Time at) {
  if (flow.local.port == 0) {
    return;  // The kernel has not chosen yet; a scan tells.
  }
  const Key key = KeyOf(flow, flow.local);
  Listener listener{workload, flow.socket_cookie};
  if (at < last_scan_) {
    auto found = listeners_.find(key);
    if (found != listeners_.end()) {
      return;  // The scan has seen this one or a later one.
    }
    listener.gone = last_scan_;
  }
  Put(key, std::move(listener));
}

void ListenerTable::Scan(const std::vector<Open>& open, absl::Time now) {
  last_scan_ = now;
  absl::flat_hash_map<Key, Listener> there;
  for (const Open& socket : open) {
    auto [found, is_first] =
        there.try_emplace(KeyOf(*socket.flow, socket.flow->local),
                          Listener{socket.workload, socket.flow->socket_cookie});
    if (!is_first && found->second.workload != socket.workload) {
      reasons_.Count("shared_port",
                     "workloads listen on one port together, which has no name then");
      found->second.workload.clear();
    }
  }
  std::vector<Key> forgotten;
  for (auto& [key, listener] : listeners_) {
    if (there.contains(key)) {
      continue;
    }
    listener.gone = std::min(listener.gone, now);
    if (now - listener.gone >= kListenerGrace) {
      forgotten.push_back(key);
    }
  }
  for (const Key& key : forgotten) {
    Forget(key);
  }
  for (auto& [key, listener] : there) {
    auto found = listeners_.find(key);
    if (found != listeners_.end() && found->second.workload == listener.workload) {
      found->second = std::move(listener);
    } else {
      Put(key, std::move(listener));
    }
  }
}

void ListenerTable::Put(const Key& key, Listener listener) {
  Forget(key);
  std::deque<Key>& own = by_workload_[listener.workload];
  if (own.size() >= limits_.per_workload) {
    reasons_.Count("workload_full",
                   "a workload listens on too many ports, its oldest is forgotten");
    listeners_.erase(own.front());
    own.pop_front();
  } else if (listeners_.size() >= limits_.total) {
    reasons_.Count("table_full", "too many listening sockets, a new one is not remembered");
    if (own.empty()) {
      by_workload_.erase(listener.workload);
    }
    return;
  }
  own.push_back(key);
  listeners_[key] = std::move(listener);
}

void ListenerTable::Close(const FlowEvent& flow) {
  const Key key = KeyOf(flow, flow.local);
  auto found = listeners_.find(key);
  if (found != listeners_.end() && found->second.socket_cookie == flow.socket_cookie) {
    Forget(key);
  }
}

void ListenerTable::Forget(const Key& key) {
  auto found = listeners_.find(key);
  if (found == listeners_.end()) {
    return;
  }
  auto own = by_workload_.find(found->second.workload);
  own->second.erase(std::find(own->second.begin(), own->second.end(), key));
  if (own->second.empty()) {
    by_workload_.erase(own);
  }
  listeners_.erase(found);
}

bool ListenerTable::MayName(const FlowEvent& flow) {
  // A socket may listen on an address that this host does not have (IP_FREEBIND), so the far
  // address must be one of this host's own.
  return flow.direction == FlowDirection::kOutbound &&
         (NetworkOf(flow.remote.address) == "loopback" ||
          flow.remote.address == flow.local.address);
}

std::string ListenerTable::PeerOf(const FlowEvent& flow) const {
  if (!MayName(flow)) {
    return "";
  }
  // An IPv6 socket on :: takes IPv4 too. Who still listens comes before who did.
  const Listener* gone = nullptr;
  for (const IpAddress& address :
       {flow.remote.address, Wildcard(flow.remote.address), IpAddress()}) {
    auto found = listeners_.find(KeyOf(flow, {address, flow.remote.port}));
    if (found == listeners_.end()) {
      continue;
    }
    if (found->second.gone == absl::InfiniteFuture()) {
      return found->second.workload;
    }
    gone = gone == nullptr ? &found->second : gone;
  }
  return gone == nullptr ? "" : gone->workload;
}

}  // namespace vedette
