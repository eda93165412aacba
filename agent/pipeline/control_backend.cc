// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/control_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/base/workload_name.h"
#include "agent/correlate/finding_json.h"
#include "agent/health/report.h"
#include "agent/pipeline/dismissals.h"
#include "agent/pipeline/event_line.h"
#include "agent/pipeline/node.h"
#include "agent/pipeline/node_metrics.h"
#include "agent/pipeline/sinks.h"
#include "agent/pipeline/top.h"
#include "agent/profile/profile_json.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kFreezePatience = absl::Seconds(2);

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Json ProbesJson(const ProbeSet& probes, const std::vector<SkippedRuns>& skipped,
                std::vector<std::string>& problems) {
  Json rows = Json::array();
  for (const ProbeStatus& probe : probes.statuses()) {
    rows.push_back({{"name", probe.name},
                    {"state", probe.ok ? "ok" : "degraded"},
                    {"reason", probe.reason},
                    {"note", probe.note},
                    {"programs", probe.programs},
                    {"skipped_runs", SumOfSkippedRuns(skipped, probe.name)},
                    {"verified_instructions", probe.verified_instructions}});
    if (!probe.ok) {
      problems.push_back(fmt::format("probe {}: {}", probe.name, probe.reason));
    }
  }
  return rows;
}

Json HashingJson(const Pipeline& pipeline, std::vector<std::string>& problems) {
  HashThread::Health health;
  if (pipeline.parts().hasher != nullptr) {
    health = pipeline.parts().hasher->health();
  }
  if (!health.trouble.empty()) {
    problems.push_back("hashing: " + health.trouble);
  }
  return {{"stalls", health.stalls},
          {"hanging_workers", health.hanging},
          {"waiting_events", pipeline.waiting().size()},
          {"judged_without", pipeline.waiting().given_up()}};
}

Json StoreJson(const Pipeline& pipeline, std::vector<std::string>& problems) {
  StoreBound& bound = *pipeline.parts().bound;
  const StoreBound::Size size = bound.Measure();
  const StoreBound::Removed& removed = bound.removed();
  for (const std::string& trouble : {pipeline.counts().trouble, bound.trouble()}) {
    if (!trouble.empty()) {
      problems.push_back("store: " + trouble);
    }
  }
  return {{"path", pipeline.parts().db->path()},
          {"bytes", size.total()},
          {"used_bytes", size.used},
          {"max_bytes", bound.max_bytes()},
          {"failed_commits", pipeline.counts().failed_commits},
          {"findings_aged", removed.aged_findings},
          {"findings_shed", removed.shed_findings}};
}

// A profile with what it cannot hold.
Json WithWhatIsNotJudged(Json profile, const Json& full) {
  for (const Json& row : full) {
    if (row["workload"] == profile["workload"]) {
      profile["not_judged"] = row["not_judged"];
      profile["state_text"] = fmt::format(
          "{}; cache {}full, {} acts not judged", profile["state_text"].get<std::string>(),
          row["caches"] == "" ? "was " : "", row["not_judged"].get<uint64_t>());
    }
  }
  return profile;
}

}  // namespace

absl::StatusOr<Json> ControlBackend::AskJson(
    const std::function<absl::StatusOr<Json>()>& question) {
  Json json;
  VEDETTE_RETURN_IF_ERROR(pipeline_->Ask([&]() -> absl::Status {
    VEDETTE_ASSIGN_OR_RETURN(json, question());
    return absl::OkStatus();
  }));
  return json;
}

absl::StatusOr<Json> ControlBackend::Doctor() {
  return AskJson([this] { return DoctorNow(); });
}

Json ControlBackend::DoctorNow() {
  const PipelineParts& parts = pipeline_->parts();
  std::vector<std::string> problems;
  const std::vector<SkippedRuns> skipped = parts.probes->ReadSkippedRuns();
  Json probes = ProbesJson(*parts.probes, skipped, problems);
  Json sinks = SinksJson(parts.delivery->Stats(), problems);
  account_->Refresh();
  for (const std::string& gap : account_->gaps()) {
    problems.push_back("ledger: " + gap);
  }
  if (!facts_.self_check.empty()) {
    problems.push_back(facts_.self_check);
  }
  Json hashing = HashingJson(*pipeline_, problems);
  Json store = StoreJson(*pipeline_, problems);
  Json errors = Json::object();
  for (const auto& [reason, count] : parts.cache->ReadErrors().by_reason) {
    if (count > 0) {
      errors[reason] = count;
    }
  }
  if (const uint64_t runs = SumOfSkippedRuns(skipped, ""); runs > 0) {
    errors[kSkippedRuns] = runs;
  }
  return {{"status", problems.empty() ? "ok" : "degraded"},
          {"problems", problems},
          {"version", VEDETTE_VERSION},
          {"node", parts.source.node},
          {"boot_id", parts.source.boot_id},
          {"kernel", KernelRelease()},
          {"tier", facts_.tier},
          {"enforcing", false},
          {"uptime_seconds", absl::ToDoubleSeconds(parts.clock->Now() - facts_.started)},
          {"probes", std::move(probes)},
          {"ledger", LedgerForDoctor(account_->ledger().Snapshot())},
          {"cache", CacheJson(*parts.cache)},
          {"full", FullJson(*pipeline_)},
          {"sinks", std::move(sinks)},
          {"store", std::move(store)},
          {"kernel_errors", std::move(errors)},
          {"hashing", std::move(hashing)},
          {"degradations", parts.enricher->Degradations()},
          {"bookkeeping", Bookkeeping(*pipeline_)},
          {"redaction", parts.redactor->Counts()},
          {"memory", {{"resident_bytes", ResidentBytes()}, {"rings_bytes", facts_.rings_bytes}}}};
}

absl::StatusOr<std::string> ControlBackend::Metrics() {
  NodeSample sample;
  VEDETTE_RETURN_IF_ERROR(pipeline_->Ask([&] {
    sample = TakeNodeSample(*pipeline_, *account_);
    return absl::OkStatus();
  }));
  return MetricsText(sample);
}

absl::StatusOr<Json> ControlBackend::Top() {
  return AskJson([this]() -> absl::StatusOr<Json> {
    pipeline_->SyncCounts();
    return TopJson(*pipeline_, facts_.started);
  });
}

absl::StatusOr<Json> ControlBackend::TopPeers() {
  return AskJson([this]() -> absl::StatusOr<Json> {
    pipeline_->SyncCounts();
    return PeersJson(*pipeline_, facts_.started);
  });
}

absl::StatusOr<Json> ControlBackend::ProfileList() {
  return AskJson([this]() -> absl::StatusOr<Json> {
    Json profiles = Json::array();
    const Json full = FullJson(*pipeline_);
    for (const ProfileSummary& summary : pipeline_->parts().profiles->List()) {
      profiles.push_back(WithWhatIsNotJudged(ToJson(summary), full));
    }
    return Json{{"profiles", std::move(profiles)}};
  });
}

absl::StatusOr<Json> ControlBackend::ProfileShow(const std::string& workload) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    pipeline_->SyncCounts();
    VEDETTE_ASSIGN_OR_RETURN(ProfileDetail detail, pipeline_->parts().profiles->Show(workload));
    return WithWhatIsNotJudged(ToJson(detail), FullJson(*pipeline_));
  });
}

absl::StatusOr<Json> ControlBackend::ProfileExport(const std::string& workload) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    pipeline_->SyncCounts();
    VEDETTE_ASSIGN_OR_RETURN(ProfileDetail detail, pipeline_->parts().profiles->Show(workload));
    Json json = ToJson(detail);
    json["kind"] = "Profile";
    json["version"] = 1;
    json["node"] = pipeline_->parts().source.node;
    return json;
  });
}

absl::StatusOr<Json> ControlBackend::ProfileFreeze(const Freeze& freeze) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    // What was done before the freeze is learned.
    pipeline_->Settle(kFreezePatience);
    const std::vector<std::string> none;
    VEDETTE_ASSIGN_OR_RETURN(
        std::vector<std::string> names,
        pipeline_->parts().profiles->Freeze(freeze.all ? none : freeze.workloads, freeze.user));
    VEDETTE_RETURN_IF_ERROR(pipeline_->Commit());
    Json frozen = Json::array();
    for (const ProfileSummary& summary : pipeline_->parts().profiles->List()) {
      if (std::find(names.begin(), names.end(), summary.workload) != names.end()) {
        frozen.push_back(ToJson(summary));
      }
    }
    return Json{{"frozen", std::move(frozen)}};
  });
}

absl::StatusOr<Json> ControlBackend::FindingList(const FindingQuery& query) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    pipeline_->SyncCounts();
    pipeline_->Commit().IgnoreError();  // On a full disk: as of the last commit.
    FindingFilter filter;
    filter.limit = query.workload.empty() ? query.limit : kMaxFindings;
    if (query.status != FindingQuery::Status::kAll) {
      filter.dismissed = query.status == FindingQuery::Status::kDismissed;
    }
    VEDETTE_ASSIGN_OR_RETURN(std::vector<Finding> findings,
                             pipeline_->parts().correlator->List(filter));
    Json list = Json::array();
    for (const Finding& finding : findings) {
      const bool wanted =
          query.workload.empty() || NamesWorkload(query.workload, finding.workload.name);
      if (wanted && list.size() < query.limit) {
        list.push_back(ToJson(finding));
      }
    }
    return Json{{"findings", std::move(list)}};
  });
}

absl::StatusOr<Json> ControlBackend::FindingShow(const std::string& uid) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    pipeline_->SyncCounts();
    pipeline_->Commit().IgnoreError();  // On a full disk: as of the last commit.
    VEDETTE_ASSIGN_OR_RETURN(const std::string full, pipeline_->parts().correlator->FullUid(uid));
    VEDETTE_ASSIGN_OR_RETURN(Finding finding, pipeline_->parts().correlator->Show(full));
    return ToJson(finding);
  });
}

absl::StatusOr<Json> ControlBackend::FindingDismiss(const Dismiss& dismiss) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    VEDETTE_ASSIGN_OR_RETURN(Finding finding, DismissFinding(*pipeline_, dismiss));
    return ToJson(finding);
  });
}

absl::StatusOr<Json> ControlBackend::FindingRestore(const Dismiss& dismiss) {
  return AskJson([&]() -> absl::StatusOr<Json> {
    VEDETTE_ASSIGN_OR_RETURN(Finding finding, RestoreFinding(*pipeline_, dismiss));
    return ToJson(finding);
  });
}

absl::StatusOr<std::unique_ptr<EventStream>> ControlBackend::SubscribeEvents(
    const EventFilter& filter) {
  VEDETTE_RETURN_IF_ERROR(CheckEventKinds(filter.kinds));
  return pipeline_->parts().hub->Subscribe(filter);
}

}  // namespace vedette
