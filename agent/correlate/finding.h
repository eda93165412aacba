// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/enrich/enriched_event.h"
#include "agent/profile/dismissal.h"
#include "agent/profile/scored_event.h"

namespace vedette {

enum class Severity { kInformational, kLow, kMedium, kHigh, kCritical };

// One scored deviation of one workload. A repeat raises `count` of the same finding.
struct Finding {
  std::string uid;  // Stable: the same deviation of the same workload has the same uid, on any run.
  enum class Change { kCreated, kUpdated };
  Change change = Change::kCreated;
  // kHeldBack stands for those beyond what a workload may send in an hour; they are in the store.
  enum class Kind { kDeviation, kCacheOverflow, kUnattributed, kMove, kHeldBack, kLostNovelty };
  Kind kind = Kind::kDeviation;
  Severity severity = Severity::kLow;
  double score = 0;   // Bits.
  std::string title;  // "New program in host/nginx: /usr/bin/curl"
  std::string sentence;
  absl::Time first_seen, last_seen;
  uint64_t count = 1;
  WorkloadInfo workload;
  InstanceInfo instance;
  Behaviour behaviour;
  std::string profile_state;  // As ScoredEvent::state_text.
  ProcessInfo process;
  std::vector<ProcessInfo> ancestors;
  std::optional<PeerInfo> peer;
  std::optional<FlowEvent> flow;
  // The default profile that holds the severity down; empty: none.
  std::string default_profile;
  std::optional<Dismissal> dismissal;  // A person said that it is none.
  uint64_t status_changes = 0;         // How often it was dismissed or restored.
  // Where it is told because that changed just now: by whom, and when.
  struct StatusChange {
    std::string user;
    absl::Time at;
  };
  std::optional<StatusChange> status_change;
  std::optional<FileEvent> file;  // Its shape is not kept.
};

}  // namespace vedette
