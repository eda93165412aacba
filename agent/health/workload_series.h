// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "agent/health/metrics.h"
#include "agent/profile/peer_name.h"
#include "agent/profile/profile_view.h"

namespace vedette {

// One workload's counters. Names are bytes.
struct WorkloadCounts {
  std::string workload;
  uint64_t execs = 0;
  uint64_t new_behaviours = 0;
  uint64_t deviations = 0;
  uint64_t dns_failures = 0;
};

// One workload with one peer, or with all that have no series of their own.
struct PeerSeries {
  std::string workload;
  PeerName name;
  bool has_retransmits = true;  // TCP.
  bool has_latency = false;     // TCP with room for a histogram.
  bool used = true;             // A bucket of others is shown from the first of them on.
  SlotCounts counts;
};

// What a scrape tells of workloads and peers.
struct SeriesSample {
  std::vector<WorkloadCounts> workloads;
  std::vector<PeerSeries> peers;
  size_t series = 0;  // Taken, of `max_series`.
  size_t max_series = 0;
  uint64_t folded = 0;  // Additions to a bucket of others.
};

// Counters for Prometheus of what workloads do and with whom, from the agent's start on. What has a
// series keeps it, so no counter ever goes back; what comes when `max_series` are given out is
// counted under `other`, so that sums over all stay exact. One workload gets a quarter of the
// series at most. Pipeline thread.
class WorkloadSeries {
 public:
  explicit WorkloadSeries(size_t max_series);

  // `counts.hits` is how often.
  void Count(const std::string& workload, const Act& act, const SlotCounts& counts);
  void CountNew(const std::string& workload, bool deviation);

  // A copy, of at most `max_series` samples: short work for the thread that counts.
  SeriesSample Sample() const { return sample_; }

 private:
  struct Workload {
    size_t counts = 0;  // Index in sample_.workloads.
    size_t others = 0;  // Index in sample_.peers of those outbound; inbound is the next.
    size_t series = 0;  // That it took.
    absl::flat_hash_map<Act, size_t> peers;
  };
  Workload& Find(const std::string& workload);
  std::unique_ptr<Workload> Make(const std::string& name, bool has_latency);
  size_t FindPeer(Workload& workload, const Act& act);
  bool Take(size_t series, Workload& workload);
  void NoteFull(const std::string& what);

  SeriesSample sample_;
  std::unique_ptr<Workload> other_;  // Of workloads that have no series.
  absl::flat_hash_map<std::string, std::unique_ptr<Workload>> workloads_;
};

// vedette_workload_… and vedette_peer_…; docs/metrics.md.
void AddWorkloadMetrics(const SeriesSample& sample, MetricSet& metrics);

}  // namespace vedette
