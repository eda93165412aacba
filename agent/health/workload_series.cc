// SPDX-License-Identifier: Apache-2.0
#include "agent/health/workload_series.h"

#include <spdlog/spdlog.h>

#include <numeric>
#include <utility>

#include "agent/base/text.h"
#include "agent/profile/service_map.h"

namespace vedette {
namespace {

constexpr size_t kWorkloadSeries = 4;
constexpr size_t kPeerSeries = 4;
constexpr size_t kHistogramSeries = kLatencyBuckets + 1;  // And the count.
constexpr size_t kOthersSeries = 2 * (kPeerSeries + 1);
constexpr size_t kLargestShare = 4;  // A part of all.

// Resolvers' flows: what fails of them is an answer with an error.
constexpr uint32_t kDnsPort = 53;

size_t SeriesOf(const PeerSeries& peer) {
  return kPeerSeries + (peer.has_retransmits ? 1 : 0) + (peer.has_latency ? kHistogramSeries : 0);
}

uint64_t Sum(const LatencyBuckets& buckets) {
  return std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
}

void AddTo(SlotCounts& total, const SlotCounts& counts) {
  total.hits += counts.hits;
  total.failures += counts.failures;
  total.sent_bytes += counts.sent_bytes;
  total.received_bytes += counts.received_bytes;
  total.retransmits += counts.retransmits;
}

void AddTo(LatencyBuckets& total, const LatencyBuckets& counts) {
  for (size_t i = 0; i < total.size(); ++i) {
    total[i] += counts[i];
  }
}

}  // namespace

WorkloadSeries::WorkloadSeries(size_t max_series) {
  sample_.max_series = max_series;
  other_ = Make(std::string(kOtherPeer), /*has_latency=*/true);
  sample_.series = kWorkloadSeries + kOthersSeries + 2 * kHistogramSeries;
}

bool WorkloadSeries::Take(size_t series, Workload& workload) {
  if (sample_.series + series > sample_.max_series ||
      workload.series + series > sample_.max_series / kLargestShare) {
    return false;
  }
  sample_.series += series;
  workload.series += series;
  return true;
}

void WorkloadSeries::NoteFull(const std::string& what) {
  if (sample_.folded++ == 0) {
    spdlog::warn(
        "metrics.max_series: {} of {} time series are given out, one workload gets a quarter at "
        "most; {} and what else finds no room is counted under \"other\"",
        sample_.series, sample_.max_series, PrintableUtf8(what));
  }
}

std::unique_ptr<WorkloadSeries::Workload> WorkloadSeries::Make(const std::string& name,
                                                               bool has_latency) {
  auto workload = std::make_unique<Workload>();
  workload->counts = sample_.workloads.size();
  sample_.workloads.push_back({.workload = name});
  workload->others = sample_.peers.size();
  for (const bool inbound : {false, true}) {
    PeerSeries others;
    others.workload = name;
    others.name = {inbound, std::string(kOtherPeer), 0, ""};
    others.has_latency = has_latency;
    others.used = false;
    sample_.peers.push_back(std::move(others));
  }
  return workload;
}

WorkloadSeries::Workload& WorkloadSeries::Find(const std::string& workload) {
  if (const auto it = workloads_.find(workload); it != workloads_.end()) {
    return *it->second;
  }
  // Its bucket of others is paid for, so that what it does stays under its own name.
  if (sample_.series + kWorkloadSeries + kOthersSeries > sample_.max_series) {
    NoteFull(workload);
    return *other_;
  }
  std::unique_ptr<Workload> made = Make(workload, /*has_latency=*/false);
  sample_.series += made->series = kWorkloadSeries + kOthersSeries;
  return *workloads_.emplace(workload, std::move(made)).first->second;
}

size_t WorkloadSeries::FindPeer(Workload& workload, const Act& act) {
  if (const auto it = workload.peers.find(act); it != workload.peers.end()) {
    return it->second;
  }
  PeerSeries peer;
  const size_t others = workload.others + (act.channel == Channel::kAccept ? 1 : 0);
  std::optional<PeerName> name = PeerNameOf(act);
  if (!name || &workload == other_.get()) {
    return others;
  }
  peer.workload = sample_.workloads[workload.counts].workload;
  peer.name = *std::move(name);
  peer.has_retransmits = peer.name.protocol == "tcp";
  peer.has_latency = peer.has_retransmits;
  if (!Take(SeriesOf(peer), workload)) {
    NoteFull(peer.workload + " with " + act.object);
    return others;
  }
  sample_.peers.push_back(std::move(peer));
  return workload.peers.emplace(act, sample_.peers.size() - 1).first->second;
}

void WorkloadSeries::Count(const std::string& name, const Act& act, const SlotCounts& counts) {
  Workload& workload = Find(name);
  if (act.channel == Channel::kExec) {
    sample_.workloads[workload.counts].execs += counts.hits;
  }
  if (act.channel != Channel::kConnect && act.channel != Channel::kAccept) {
    return;
  }
  const std::optional<PeerName> peer_name = PeerNameOf(act);
  if (peer_name && !peer_name->inbound && peer_name->port == kDnsPort &&
      peer_name->protocol == "udp") {
    sample_.workloads[workload.counts].dns_failures += counts.failures;
  }
  PeerSeries& peer = sample_.peers[FindPeer(workload, act)];
  peer.used = true;
  AddTo(peer.counts, counts);
  if (Sum(counts.latency) > 0) {
    const size_t others = other_->others + (act.channel == Channel::kAccept ? 1 : 0);
    PeerSeries& measured = peer.has_latency ? peer : sample_.peers[others];
    measured.used = true;
    AddTo(measured.counts.latency, counts.latency);
  }
}

void WorkloadSeries::CountNew(const std::string& name, bool deviation) {
  WorkloadCounts& counts = sample_.workloads[Find(name).counts];
  ++counts.new_behaviours;
  counts.deviations += deviation ? 1 : 0;
}

}  // namespace vedette
