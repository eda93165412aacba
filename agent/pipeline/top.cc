// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/top.h"

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/text.h"

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

struct FlowName {
  std::string peer;
  uint32_t port = 0;
  std::string protocol;
};

// Takes "PORT/PROTOCOL" off the end of `text`, and the separator before it.
FlowName SplitFlow(std::string text, std::string_view separator) {
  FlowName name;
  if (const size_t slash = text.rfind('/'); slash != std::string::npos) {
    name.protocol = text.substr(slash + 1);
    text.resize(slash);
  }
  if (const size_t at = text.rfind(separator); at != std::string::npos) {
    const char* port = text.data() + at + separator.size();
    std::from_chars(port, text.data() + text.size(), name.port);
    text.resize(at);
  }
  name.peer = std::move(text);
  return name;
}

// Objects are "PEER:PORT/PROTOCOL" outbound, "PEER -> PORT/PROTOCOL" inbound; a peer may hold
// colons.
Json FlowRow(const std::string& workload, const BehaviourRecord& record) {
  const bool inbound = record.behaviour.channel == Channel::kAccept;
  const FlowName flow = SplitFlow(record.behaviour.object, inbound ? " -> " : ":");
  return {{"workload", workload},
          {"direction", inbound ? "inbound" : "outbound"},
          {"peer", PrintableUtf8(flow.peer)},
          {"port", flow.port},
          {"protocol", flow.protocol},
          {"connections", record.count},
          {"failures", record.failures},
          {"sent_bytes", record.sent_bytes},
          {"received_bytes", record.received_bytes}};
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
                         {"min_time_seconds", absl::ToDoubleSeconds(summary.min_time)},
                         {"behaviours", detail->behaviours.size()},
                         {"execs", execs},
                         {"flows", connections},
                         {"new", fresh},
                         {"records", pipeline.RecordsOf(summary.workload)},
                         {"findings", detail->deviations.size()}});
  }
  return {{"uptime_seconds", absl::ToDoubleSeconds(now - started)},
          {"workloads", std::move(workloads)},
          {"flows", std::move(flows)}};
}

Json CacheJson(const VerdictCache& cache) {
  Json rows = Json::array();
  for (const CacheFill& fill : cache.ReadFill()) {
    rows.push_back({{"name", fill.cache == 0 ? "code" : "flow"},
                    {"workloads", fill.workloads},
                    {"entries", fill.entries},
                    {"limit", cache.limit(fill.cache)},
                    {"full", fill.full}});
  }
  return rows;
}

}  // namespace vedette
