// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/account.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/health/report.h"

namespace vedette {
namespace {

// What enters the pipeline is what the stage enrich receives.
constexpr const char* kEntranceNames[kEntrances] = {"rings", "leftovers", "sweep", "scan"};
constexpr const char* kLaneNames[] = {"code", "flow", "tap", "file"};
using Dropped = std::map<std::string, uint64_t, std::less<>>;

uint64_t KeyOf(const LaneCount& lane) { return static_cast<uint64_t>(lane.cpu) << 32 | lane.lane; }

}  // namespace

std::optional<std::string> GapOf(const Crossing& crossing) {
  const uint64_t arrived = crossing.queued + crossing.entered;
  if (arrived >= crossing.handed_on) {
    return std::nullopt;
  }
  return fmt::format("{} events were read from the rings and did not arrive at the pipeline",
                     crossing.handed_on - arrived);
}

Account::Account(const Pipeline* pipeline, const Collector* collector)
    : pipeline_(pipeline), collector_(collector), told_at_(pipeline->parts().clock->Now()) {
  for (const LaneCount& lane : pipeline_->parts().cache->ReadLanes()) {
    dropped_before_[KeyOf(lane)] = lane.dropped;
  }
  // The accounts of the sinks outlive the agent: what an earlier run did is not told again.
  RefreshSinks();
  told_ = ledger_.Snapshot();
}

void Account::Refresh() {
  RefreshGaps();
  RefreshStages();
}

void Account::RefreshGaps() {
  std::vector<std::string> gaps = pipeline_->parts().gaps;
  for (const std::string& discarded : pipeline_->parts().probes->discarded()) {
    gaps.push_back(discarded);
  }
  for (const std::string& skipped :
       GapsOfSkippedRuns(pipeline_->parts().probes->ReadSkippedRuns())) {
    gaps.push_back(skipped);
  }
  RefreshKernel(gaps);
  const uint64_t handed_on = collector_->counts().events;
  const uint64_t entered = pipeline_->counts().events[static_cast<size_t>(Entrance::kRings)];
  if (auto gap = GapOf({handed_on, pipeline_->queued_events(), entered})) {
    gaps.push_back(*gap);
  }
  for (const std::string& gap : gaps) {
    if (std::find(gaps_.begin(), gaps_.end(), gap) == gaps_.end()) {
      spdlog::error("gap: {}", gap);
    }
  }
  gaps_ = std::move(gaps);
}

void Account::RefreshKernel(std::vector<std::string>& gaps) {
  // What was received is read before what was sent, so that a record under way is no gap.
  const SequenceAccount received = collector_->account();
  for (const LaneCount& lane : pipeline_->parts().cache->ReadLanes()) {
    const std::string name =
        fmt::format("cpu{}/{}", lane.cpu, kLaneNames[lane.lane % std::size(kLaneNames)]);
    ledger_.Account(kStageKernel, name)
        .Set(lane.sequence, lane.sent, Dropped{{"ring-full", lane.dropped}});
    auto line = received.lines().find(KeyOf(lane));
    if (line == received.lines().end()) {
      continue;
    }
    const uint64_t missing =
        SequenceAccount::Gap(line->second, lane.dropped - dropped_before_[KeyOf(lane)]);
    // The kernel numbers a record before it counts it as dropped: what is missing at one look only
    // is such a record.
    const uint64_t gap = std::min(missing, std::exchange(missing_[KeyOf(lane)], missing));
    if (gap > 0) {
      gaps.push_back(fmt::format("{} records of {} between {} and {} did not arrive", gap, name,
                                 line->second.first, line->second.next));
    }
  }
}

void Account::RefreshStages() {
  const CollectCounts collect = collector_->counts();
  ledger_.Account(kStageCollect, "records")
      .Set(collect.received, collect.delivered, Dropped{{"undecodable", collect.undecodable}});
  const PipelineParts& parts = pipeline_->parts();
  const PipelineCounts& counts = pipeline_->counts();
  if (counts.leftovers.received > 0) {
    ledger_.Account(kStageCollect, "leftovers")
        .Set(counts.leftovers.received, counts.leftovers.received - counts.leftovers.undecodable,
             Dropped{{"undecodable", counts.leftovers.undecodable}});
  }
  std::array<uint64_t, kEntrances> entered = counts.events;
  // What was handed on is given to the pipeline, whether it is there yet or not. The collect thread
  // counts a batch once the pipeline has it.
  uint64_t& by_rings = entered[static_cast<size_t>(Entrance::kRings)];
  by_rings = std::max(by_rings, collect.events);
  for (size_t i = 0; i < entered.size(); ++i) {
    ledger_.Account(kStagePipeline, kEntranceNames[i])
        .Set(entered[i], counts.enriched[i], Dropped{});
  }
  const Enricher::Ledger& enrich = parts.enricher->ledger();
  // What waits for the hash of a program is in flight.
  ledger_.Account(kStageEnrich, "events")
      .Set(enrich.received, enrich.emitted - pipeline_->waiting().size(), Dropped{});
  const StageLedger& profile = parts.profiles->ledger();
  ledger_.Account(kStageProfile, "events").Set(profile.received, profile.emitted, profile.dropped);
  const ProfilesCounters& profiles = parts.profiles->counters();
  ledger_.Account(kStageProfiles, "workloads")
      .Set(profiles.profiles_made, parts.profiles->size(),
           Dropped{{"evicted", profiles.profiles_evicted},
                   {"frozen-evicted", profiles.frozen_evicted},
                   {"max-age", profiles.profiles_aged},
                   {"max-size", profiles.profiles_shed}});
  const StoreBound::Removed& removed = parts.bound->removed();
  const uint64_t evicted = parts.correlator->evicted();
  ledger_.Account(kStageStore, "findings")
      .Set(removed.aged_findings + removed.shed_findings + evicted, 0,
           Dropped{{"max-age", removed.aged_findings},
                   {"max-size", removed.shed_findings},
                   {"max-count", evicted}});
  const StageLedger& correlate = parts.correlator->ledger();
  ledger_.Account(kStageCorrelate, "events")
      .Set(correlate.received, correlate.emitted, correlate.dropped);
  RefreshSinks();
}

void Account::RefreshSinks() {
  const Delivery& delivery = *pipeline_->parts().delivery;
  for (const SinkStats& sink : delivery.Stats()) {
    ledger_.Account(kStageExport, sink.account.sink)
        .Set(sink.account.received, sink.account.delivered,
             Dropped(sink.account.dropped.begin(), sink.account.dropped.end()));
  }
  for (const GivenUpSink& gone : delivery.given_up()) {
    ledger_.Account(kStageExport, gone.sink)
        .Set(gone.count, 0, Dropped{{kDropRemoved, gone.count}});
  }
}

std::optional<pb::Ledger> Account::TakeRecord(absl::Time now) {
  std::vector<LedgerEntry> entries = ledger_.Snapshot();
  if (entries == told_ && gaps_ == told_gaps_) {
    return std::nullopt;
  }
  pb::Ledger record = LedgerBetween(told_, entries, {told_at_, now});
  for (const std::string& gap : gaps_) {
    // A gap stays open in `doctor`; the stream is told once.
    if (std::find(told_gaps_.begin(), told_gaps_.end(), gap) == told_gaps_.end()) {
      record.add_gaps(gap);
    }
  }
  told_ = std::move(entries);
  told_gaps_ = gaps_;
  told_at_ = now;
  return record;
}

pb::Ledger LedgerOfGivenUp(const std::vector<GivenUpSink>& sinks, absl::Time now) {
  pb::Ledger record;
  record.set_from_unix_ns(absl::ToUnixNanos(now));
  record.set_to_unix_ns(absl::ToUnixNanos(now));
  for (const GivenUpSink& gone : sinks) {
    pb::LedgerEntry* entry = record.add_entries();
    entry->set_stage(kStageExport);
    entry->set_counter(gone.sink);
    entry->set_received(gone.count);
    (*entry->mutable_dropped())[kDropRemoved] = gone.count;
    record.add_gaps(fmt::format(
        "{} records waited for sink {}, which is no longer configured, and are given up",
        gone.count, gone.sink));
  }
  return record;
}

}  // namespace vedette
