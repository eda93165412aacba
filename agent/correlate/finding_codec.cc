// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/finding_codec.h"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace vedette {
namespace {

using nlohmann::json;

// CBOR arrays in the order of the fields. A change of order or number is a new version.
constexpr int kVersion = 1;

template <typename T>
constexpr bool kIsScalar = std::is_arithmetic_v<T> || std::is_same_v<T, std::string>;

class Writer {
 public:
  template <typename... T>
  void operator()(const T&... fields) {
    (Put(fields), ...);
  }
  template <typename E>
  void Enum(const E& value, E) {
    out_.push_back(static_cast<int>(value));
  }
  template <typename T>
  void Late(const T& field) {
    Put(field);
  }
  json Take() { return std::move(out_); }

 private:
  template <typename T>
  void Put(const T& value) {
    if constexpr (kIsScalar<T>) {
      out_.push_back(value);
    } else {
      Writer inner;
      Fields(inner, value);
      out_.push_back(inner.Take());
    }
  }
  void Put(const absl::Time& time) { out_.push_back(absl::ToUnixNanos(time)); }
  void Put(const absl::Duration& duration) { out_.push_back(absl::ToInt64Nanoseconds(duration)); }
  template <typename T>
  void Put(const std::optional<T>& value) {
    if (value) {
      Put(*value);
    } else {
      out_.push_back(nullptr);
    }
  }
  template <typename T>
  void Put(const std::vector<T>& values) {
    Writer inner;
    for (const T& value : values) {
      inner(value);
    }
    out_.push_back(inner.Take());
  }
  json out_ = json::array();
};

// Throws what nlohmann throws, and std::out_of_range.
class Reader {
 public:
  explicit Reader(const json& in) : in_(in) {}
  template <typename... T>
  void operator()(T&... fields) {
    (Get(fields), ...);
  }
  template <typename E>
  void Enum(E& value, E last) {
    const int number = Next().get<int>();
    if (number < 0 || number > static_cast<int>(last)) {
      throw std::out_of_range(fmt::format("{} is no such value", number));
    }
    value = static_cast<E>(number);
  }
  // The last field of a struct, which older stores do not have.
  template <typename T>
  void Late(T& field) {
    if (next_ < in_.size()) {
      Get(field);
    }
  }

 private:
  const json& Next() { return in_.at(next_++); }
  template <typename T>
  void Get(T& value) {
    if constexpr (kIsScalar<T>) {
      value = Next().get<T>();
    } else {
      Reader inner(Next());
      Fields(inner, value);
    }
  }
  void Get(absl::Time& time) { time = absl::FromUnixNanos(Next().get<int64_t>()); }
  void Get(absl::Duration& duration) { duration = absl::Nanoseconds(Next().get<int64_t>()); }
  template <typename T>
  void Get(std::optional<T>& value) {
    if (in_.at(next_).is_null()) {
      ++next_;
    } else {
      Get(value.emplace());
    }
  }
  template <typename T>
  void Get(std::vector<T>& values) {
    const json& array = Next();
    Reader inner(array);
    values.resize(array.size());
    for (T& value : values) {
      inner(value);
    }
  }
  const json& in_;
  size_t next_ = 0;
};

// One list of fields per struct for both directions: `T` is const for the writer.
template <typename Base, typename T>
concept Of = std::is_same_v<std::remove_const_t<T>, Base>;

template <typename A, typename T>
void Fields(A& ar, T& v) {
  if constexpr (Of<Code, T>) {
    ar(v.path, v.sha256);
    ar.Enum(v.origin, CodeOrigin::kUntrustedFs);
    ar(v.script);
    ar.Late(v.filesystem);
  } else if constexpr (Of<ProcessInfo, T>) {
    ar(v.id.start_ns, v.id.tgid, v.exec_id, v.pid, v.comm, v.code, v.argv, v.unknown);
    ar.Late(v.credentials);
    ar.Late(v.argv_truncated);
  } else if constexpr (Of<Credentials, T>) {
    ar(v.uid, v.gid, v.euid, v.egid, v.cap_permitted, v.cap_effective);
  } else if constexpr (Of<WorkloadInfo, T>) {
    ar(v.name, v.identity, v.number);
  } else if constexpr (Of<InstanceInfo, T>) {
    ar(v.cgroup_id, v.cgroup_path, v.container_id, v.runtime);
  } else if constexpr (Of<Endpoint, T>) {
    for (auto& byte : v.address.bytes) {
      ar(byte);
    }
    ar(v.port);
  } else if constexpr (Of<PeerInfo, T>) {
    ar(v.endpoint, v.dns_name, v.workload, v.network);
  } else if constexpr (Of<Behaviour, T>) {
    ar.Enum(v.channel, Channel::kFile);
    ar(v.subject, v.subject_sha256, v.object, v.object_sha256, v.qualifier);
  } else if constexpr (Of<FlowEvent, T>) {
    ar.Enum(v.stage, FlowStage::kClosed);
    ar.Enum(v.direction, FlowDirection::kInbound);
    ar(v.protocol, v.local, v.remote, v.socket_cookie, v.user.start_ns, v.user.tgid, v.error,
       v.sent_bytes, v.received_bytes, v.sent_packets, v.received_packets, v.retransmits,
       v.smoothed_rtt, v.duration);
  } else if constexpr (Of<FileEvent, T>) {
    ar.Enum(v.verb, FileVerb::kRead);
    ar(v.path, v.lost, v.path_truncated, v.path_elsewhere, v.unnamed, v.open_flags, v.mode, v.links,
       v.filesystem);
  } else {
    static_assert(Of<Finding, T>);
    ar(v.uid);
    ar.Enum(v.kind, Finding::Kind::kLostNovelty);
    ar.Enum(v.severity, Severity::kCritical);
    ar(v.score, v.title, v.sentence, v.first_seen, v.last_seen, v.count, v.workload, v.instance,
       v.behaviour, v.profile_state, v.process, v.ancestors, v.peer, v.flow);
    ar.Late(v.default_profile);
    ar.Late(v.file);
  }
}

}  // namespace

std::string EncodeFinding(const Finding& finding) {
  Writer writer;
  writer(kVersion, finding);
  std::string bytes;
  json::to_cbor(writer.Take(), bytes);
  return bytes;
}

absl::StatusOr<Finding> DecodeFinding(std::string_view bytes) {
  try {
    const json in = json::from_cbor(bytes);
    Reader reader(in);
    int version = 0;
    reader(version);
    if (version != kVersion) {
      return absl::DataLossError(
          fmt::format("a stored finding is of version {}, this agent reads {}", version, kVersion));
    }
    Finding finding;
    reader(finding);
    return finding;
  } catch (const std::exception& e) {
    return absl::DataLossError(fmt::format("a stored finding cannot be read: {}", e.what()));
  }
}

}  // namespace vedette
