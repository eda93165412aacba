// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/collect/collector.h"
#include "agent/health/ledger.h"
#include "agent/pipeline/pipeline.h"

namespace vedette {

// Stages of the ledger, by the names that docs/siem.md and docs/configuration.md use.
inline constexpr char kStageKernel[] = "kernel";
inline constexpr char kStageCollect[] = "collect";
inline constexpr char kStagePipeline[] = "pipeline";
inline constexpr char kStageEnrich[] = "enrich";
inline constexpr char kStageProfile[] = "profile";
inline constexpr char kStageCorrelate[] = "correlate";
inline constexpr char kStageExport[] = "export";
// Not of events: stages of their own, so that the stages of events add up from end to end.
inline constexpr char kStageProfiles[] = "profiles";
inline constexpr char kStageStore[] = "store";

// For the stream: what waited for sinks that are no longer configured.
pb::Ledger LedgerOfGivenUp(const std::vector<GivenUpSink>& sinks, absl::Time now);

// Events that the collect thread handed on, and that neither wait for the pipeline nor entered it.
// `handed_on` must be read before `queued`: what is handed on meanwhile is no gap.
struct Crossing {
  uint64_t handed_on = 0;
  uint64_t queued = 0;
  uint64_t entered = 0;
};
std::optional<std::string> GapOf(const Crossing& crossing);

// Fills the ledger from the counters of every stage, and finds gaps: records that the kernel
// numbered and nobody received or dropped, and events that were lost between the threads. Pipeline
// thread.
class Account {
 public:
  Account(const Pipeline* pipeline, const Collector* collector);

  // Reads all counters anew.
  void Refresh();
  // One sentence per gap that is open now.
  const std::vector<std::string>& gaps() const { return gaps_; }
  // What happened since the last call, for the stream; nothing when nothing did.
  std::optional<pb::Ledger> TakeRecord(absl::Time now);

  const Ledger& ledger() const { return ledger_; }

 private:
  void RefreshGaps();
  void RefreshKernel(std::vector<std::string>& gaps);
  void RefreshStages();
  void RefreshSinks();

  const Pipeline* const pipeline_;
  const Collector* const collector_;
  Ledger ledger_;
  std::vector<std::string> gaps_;
  std::vector<std::string> told_gaps_;
  absl::flat_hash_map<uint64_t, uint64_t> dropped_before_;  // By cpu << 32 | lane, at the start.
  absl::flat_hash_map<uint64_t, uint64_t> missing_;         // By the same, at the look before.
  std::vector<LedgerEntry> told_;
  absl::Time told_at_;
};

}  // namespace vedette
