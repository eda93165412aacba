// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/profile/peer_name.h"
#include "agent/profile/profile_view.h"

namespace vedette {

// Upper bound of bucket `bucket` in seconds; of the last, infinity.
double LatencyBound(size_t bucket);
// As Prometheus reckons it, by a straight line within the bucket; of the last bucket its lower end.
// nullopt: nothing was measured.
std::optional<double> LatencyQuantile(const LatencyBuckets& buckets, double quantile);

// The name of what found no room of its own. No peer is called so: peers have a prefix.
inline constexpr std::string_view kOtherPeer = "other";

// One workload with one peer, by port, protocol and direction, over all of its code.
struct ServicePeer {
  std::string workload;
  PeerName name;
  std::string peer_workload;  // When the peer is one of this node.
  uint64_t connections = 0;
  uint64_t failures = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  uint64_t retransmits = 0;     // Since the agent started.
  LatencyBuckets latency = {};  // Since the agent started.
  absl::Time last_seen = absl::InfinitePast();
};

// Who talks to whom. Begins with what the profiles know, then adds what happens. Pipeline thread.
// Keeps nothing itself, and forgets nothing: what is beyond its bounds is added up per workload and
// direction under `other`.
class ServiceMap {
 public:
  struct Limits {
    size_t total = 32768;
    size_t per_workload = 2048;
  };
  explicit ServiceMap(Limits limits) : limits_(limits) {}
  ServiceMap() : ServiceMap(Limits()) {}

  // What a profile holds from before.
  void Seed(const std::string& workload, const BehaviourRecord& record);
  // Acts that are with no peer are passed over.
  void Add(const std::string& workload, const Act& act, const SlotCounts& counts, absl::Time at);
  // The peer of the act is a workload of this node, by whatever name it is called.
  void SetPeerWorkload(const std::string& workload, const Act& act, const std::string& peer);

  // By workload, direction, peer, port and protocol; valid until the next change.
  std::vector<const ServicePeer*> List() const;
  size_t size() const { return size_; }
  uint64_t folded() const { return folded_; }  // Acts that were added under `other`.

 private:
  using Peers = absl::flat_hash_map<Act, std::unique_ptr<ServicePeer>>;
  ServicePeer* Find(const std::string& workload, const Act& act);

  const Limits limits_;
  absl::flat_hash_map<std::string, Peers> workloads_;
  size_t size_ = 0;
  uint64_t folded_ = 0;
};

}  // namespace vedette
