// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vedette {

// A kind of behaviour that is learned, scored and counted on its own.
enum class Channel {
  kExec,
  kConnect,
  kAccept,
  kListen,
  kCredential,
  kModule,
  kIoUring,
  kSignal,
  kCapability,
  kFile
};

inline constexpr std::array kChannels = {
    Channel::kExec,       Channel::kConnect, Channel::kAccept,  Channel::kListen,
    Channel::kCredential, Channel::kModule,  Channel::kIoUring, Channel::kSignal,
    Channel::kCapability, Channel::kFile};

// "exec", "connect", "accept", "listen", "credential", "module", "io_uring", "signal",
// "capability", "file"
std::string_view ChannelName(Channel channel);
std::optional<Channel> ChannelFromName(std::string_view name);

// Who, by which code, does what, to what: in stable names, so that it outlives a boot. The workload
// is that of the profile that holds it.
struct Behaviour {
  Channel channel = Channel::kExec;
  // Path of the acting code; of the parent for kExec. Empty for kCapability: the workload's.
  std::string subject;
  std::string subject_sha256;  // Empty where not known; see Profile::Match.
  std::string object;  // Path of the new code, "dns:db.example:5432/tcp", "8080/tcp", "uid 1000 ->
                       // 0", "create /run/x.pid".
  std::string object_sha256;  // kExec only.
  std::string qualifier;      // kExec: script name. kFile: kManyFiles, or empty. Else empty.

  auto operator<=>(const Behaviour&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Behaviour& b) {
    return H::combine(std::move(h), b.channel, b.subject, b.subject_sha256, b.object,
                      b.object_sha256, b.qualifier);
  }
};

// A program that was replaced does all it ever did by new code: the one behaviour that stands for
// all of it, where the start of the new code was not seen.
inline Behaviour RevisionOf(const Behaviour& b) {
  return {Channel::kExec, "", "", b.subject, b.subject_sha256, ""};
}

// The qualifier of a file's behaviour whose object is the shape of many names.
inline constexpr std::string_view kManyFiles = "many";
inline bool IsOfManyFiles(const Behaviour& b) {
  return b.channel == Channel::kFile && b.qualifier == kManyFiles;
}

// What was done, whatever the profile makes of it: the verb and the object of a behaviour.
struct Act {
  Channel channel = Channel::kExec;
  std::string object;  // Empty: nothing.

  bool operator==(const Act&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Act& a) {
    return H::combine(std::move(h), a.channel, a.object);
  }
};

}  // namespace vedette
