// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/top.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/text.h"
#include "agent/base/time_text.h"
#include "agent/event/cache_kind.h"
#include "agent/profile/peer_name.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kNew = absl::Minutes(5);

std::string_view StateName(ProfileState state) {
  switch (state) {
    case ProfileState::kLearning:
      return "learning";
    case ProfileState::kLearned:
      return "learned";
    case ProfileState::kFrozen:
      return "frozen";
  }
  return "";
}

std::string_view DirectionName(const PeerName& name) {
  return name.inbound ? "inbound" : "outbound";
}

// An act that is with no peer is one of those beyond the bound of a channel.
Json FlowRow(const std::string& workload, const BehaviourRecord& record) {
  const Act act = {record.behaviour.channel, record.behaviour.object};
  const PeerName flow =
      PeerNameOf(act).value_or(PeerName{act.channel == Channel::kAccept, act.object, 0, ""});
  return {{"workload", workload},
          {"direction", DirectionName(flow)},
          {"peer", PrintableUtf8(flow.peer)},
          {"port", flow.port},
          {"protocol", flow.protocol},
          {"connections", record.count},
          {"failures", record.failures},
          {"sent_bytes", record.sent_bytes},
          {"received_bytes", record.received_bytes}};
}

Json PeerRow(const ServicePeer& peer) {
  Json row = {{"workload", PrintableUtf8(peer.workload)},
              {"direction", DirectionName(peer.name)},
              {"peer", PrintableUtf8(peer.name.peer)},
              {"port", peer.name.port},
              {"protocol", peer.name.protocol},
              {"connections", peer.connections},
              {"failures", peer.failures},
              {"sent_bytes", peer.sent_bytes},
              {"received_bytes", peer.received_bytes},
              {"retransmits", peer.retransmits},
              {"last_seen", TimeText(peer.last_seen)}};
  if (!peer.peer_workload.empty()) {
    row["peer_workload"] = PrintableUtf8(peer.peer_workload);
  }
  if (const auto median = LatencyQuantile(peer.latency, 0.5); median) {
    const std::string what = peer.name.inbound ? "rtt" : "connect";
    row[what + "_median_seconds"] = *median;
    row[what + "_p99_seconds"] = *LatencyQuantile(peer.latency, 0.99);
    row[what + "_buckets"] = peer.latency;
  }
  return row;
}

}  // namespace

Json TopJson(const Pipeline& pipeline, absl::Time started) {
  const Profiles& profiles = *pipeline.parts().profiles;
  const absl::Time now = pipeline.parts().clock->Now();
  Json workloads = Json::array();
  Json flows = Json::array();
  for (const ProfileSummary& summary : profiles.List()) {
    absl::StatusOr<ProfileDetail> detail = profiles.Show(summary.workload);
    if (!detail.ok()) {
      continue;
    }
    uint64_t execs = 0, connections = 0, fresh = 0;
    auto add = [&](const BehaviourRecord& record) {
      const Channel channel = record.behaviour.channel;
      fresh += record.first_seen > now - kNew;
      if (channel == Channel::kExec) {
        execs += record.count;
      } else if (channel == Channel::kConnect || channel == Channel::kAccept) {
        connections += record.count;
        flows.push_back(FlowRow(summary.workload, record));
      }
    };
    for (const BehaviourRecord& record : detail->behaviours) {
      add(record);
    }
    for (const BehaviourRecord& record : detail->deviations) {
      add(record);
    }
    workloads.push_back({{"name", summary.workload},
                         {"state", StateName(summary.state)},
                         {"state_text", summary.state_text},
                         {"watched_seconds", absl::ToDoubleSeconds(summary.watched)},
                         {"min_time_seconds", absl::ToDoubleSeconds(summary.rules.min_time)},
                         {"progress", summary.progress},
                         {"behaviours", detail->behaviours.size()},
                         {"execs", execs},
                         {"flows", connections},
                         {"new", fresh},
                         {"records", pipeline.records().Of(summary.workload)},
                         {"findings", detail->deviations.size()}});
  }
  return {{"uptime_seconds", absl::ToDoubleSeconds(now - started)},
          {"workloads", std::move(workloads)},
          {"flows", std::move(flows)}};
}

Json PeersJson(const Pipeline& pipeline, absl::Time started) {
  Json peers = Json::array();
  for (const ServicePeer* peer : pipeline.parts().services->List()) {
    peers.push_back(PeerRow(*peer));
  }
  return {{"uptime_seconds", absl::ToDoubleSeconds(pipeline.parts().clock->Now() - started)},
          {"peers", std::move(peers)}};
}

Json CacheJson(const VerdictCache& cache) {
  Json rows = Json::array();
  for (const CacheFill& fill : cache.ReadFill()) {
    rows.push_back({{"name", CacheName(fill.cache)},
                    {"workloads", fill.workloads},
                    {"entries", fill.entries},
                    {"limit", cache.limit(fill.cache)},
                    {"full", fill.full}});
  }
  return rows;
}

Json FullJson(const Pipeline& pipeline) {
  Json rows = Json::array();
  for (const FullWorkload& workload : pipeline.parts().cache->FullWorkloads()) {
    const WorkloadInfo* info = pipeline.parts().enricher->workloads().FindNumber(workload.number);
    std::string caches;
    for (uint32_t cache = 0; cache < workload.full.size(); ++cache) {
      if (workload.full[cache]) {
        caches += fmt::format("{}{}", caches.empty() ? "" : ", ", CacheName(cache));
      }
    }
    rows.push_back({{"workload", PrintableUtf8(info != nullptr ? info->name : kUnattributed)},
                    {"caches", std::move(caches)},
                    {"not_judged", workload.not_cached}});
  }
  return rows;
}

}  // namespace vedette
