// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include "agent/health/workload_series.h"
#include "agent/profile/service_map.h"

namespace vedette {
namespace {

std::array<double, kLatencyBuckets - 1> LatencyBounds() {
  std::array<double, kLatencyBuckets - 1> bounds;
  for (size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = LatencyBound(i);
  }
  return bounds;
}

void AddPeer(const PeerSeries& peer, MetricSet& metrics) {
  static const auto kBounds = LatencyBounds();
  MetricSet::Labels labels = {{"workload", peer.workload},
                              {"direction", peer.name.inbound ? "inbound" : "outbound"},
                              {"peer", peer.name.peer}};
  // To Prometheus a label that is empty is none.
  if (!peer.name.protocol.empty()) {
    labels.emplace_back("port", std::to_string(peer.name.port));
    labels.emplace_back("protocol", peer.name.protocol);
  }
  const auto add = [&](const char* name, const char* help, uint64_t value) {
    metrics.AddCounter(name, help, static_cast<double>(value), labels);
  };
  add("vedette_peer_connections_total", "Connections and flows of a workload with a peer.",
      peer.counts.hits);
  add("vedette_peer_failures_total",
      "Connections that failed; of a resolver's flows, answers with an error.",
      peer.counts.failures);
  add("vedette_peer_sent_bytes_total", "Bytes of payload that a workload sent to a peer.",
      peer.counts.sent_bytes);
  add("vedette_peer_received_bytes_total", "Bytes of payload that a workload got from a peer.",
      peer.counts.received_bytes);
  if (peer.has_retransmits) {
    add("vedette_peer_retransmits_total", "TCP segments sent again to a peer.",
        peer.counts.retransmits);
  }
  if (peer.has_latency && peer.name.inbound) {
    metrics.AddHistogram("vedette_peer_rtt_seconds",
                         "Smoothed round trip of TCP connections that a peer opened.", kBounds,
                         peer.counts.latency, labels);
  } else if (peer.has_latency) {
    metrics.AddHistogram("vedette_peer_connect_seconds",
                         "How long TCP connections to a peer took to be established.", kBounds,
                         peer.counts.latency, labels);
  }
}

}  // namespace

void AddWorkloadMetrics(const SeriesSample& sample, MetricSet& metrics) {
  for (const WorkloadCounts& counts : sample.workloads) {
    const MetricSet::Labels labels = {{"workload", counts.workload}};
    const auto add = [&](const char* name, const char* help, uint64_t value) {
      metrics.AddCounter(name, help, static_cast<double>(value), labels);
    };
    add("vedette_workload_execs_total", "Programs that a workload started.", counts.execs);
    add("vedette_workload_new_behaviours_total",
        "Behaviours that the workload's profile did not hold.", counts.new_behaviours);
    add("vedette_workload_deviations_total",
        "New behaviours of workloads whose learning had ended.", counts.deviations);
    add("vedette_workload_dns_failures_total",
        "Answers with an error to the workload's DNS queries.", counts.dns_failures);
  }
  for (const PeerSeries& peer : sample.peers) {
    if (peer.used) {
      AddPeer(peer, metrics);
    }
  }
  metrics.AddGauge("vedette_metrics_series", "Time series given out to workloads and peers.",
                   static_cast<double>(sample.series));
  metrics.AddGauge("vedette_metrics_max_series",
                   "Time series that workloads and peers may have: metrics.max_series.",
                   static_cast<double>(sample.max_series));
  metrics.AddCounter("vedette_metrics_folded_total",
                     "Additions to a bucket of others, since all time series are given out.",
                     static_cast<double>(sample.folded));
}

}  // namespace vedette
