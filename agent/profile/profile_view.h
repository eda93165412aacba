// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/profile/behaviour.h"
#include "agent/profile/dismissal.h"
#include "agent/profile/learning.h"
#include "agent/profile/scored_event.h"

namespace vedette {

// Bucket i counts connections that were established in less than 64 us << i, the last one all
// slower ones too.
inline constexpr size_t kLatencyBuckets = 16;
using LatencyBuckets = std::array<uint64_t, kLatencyBuckets>;

// What the kernel counted for one behaviour. `hits` are acts that made no record.
struct SlotCounts {
  uint64_t hits = 0;
  uint64_t failures = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  uint64_t retransmits = 0;
  LatencyBuckets latency = {};

  bool operator==(const SlotCounts&) const = default;
};

// A behaviour with its evidence. Strings are bytes.
struct BehaviourRecord {
  Behaviour behaviour;
  uint64_t count = 0;
  uint64_t failures = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  absl::Time first_seen = absl::InfiniteFuture();
  absl::Time last_seen = absl::InfinitePast();
  std::set<std::string> sources;  // Instances: container ids, else cgroup paths.
  bool sources_cut = false;       // There were more than are kept.
  // Of a deviation, as it was scored the first time.
  double score = 0;
  std::string sentence;
  bool new_revision = false;
  std::optional<Dismissal> dismissal;  // Of a deviation that is in the profile on a person's word.
};

struct ChannelSummary {
  uint64_t behaviours = 0;
  uint64_t deviations = 0;
  uint64_t active_windows = 0;
  uint64_t novel_windows = 0;
  bool cut = false;  // More behaviours than a profile holds: it is not complete.
};

// One workload's profile in a line.
struct ProfileSummary {
  std::string workload;
  std::string identity;
  ProfileState state = ProfileState::kLearning;
  std::string state_text;
  absl::Time first_seen;
  absl::Duration watched;
  absl::Duration quiet;  // Since something new was learned.
  LearningRules rules;
  bool is_job = false;  // Counts runs instead of hours.
  uint64_t runs = 0;
  uint64_t quiet_runs = 0;
  std::string default_profile;  // That covers all it does; empty: none.
  // Kinds of acts that are its job, and by which default profile.
  std::map<std::string, std::string> expected;
  std::string progress;  // How far learning is, or was when it ended; see Learning::Text.
  std::array<ChannelSummary, kChannels.size()> channels;  // In the order of kChannels.
};

// The whole profile, sorted by behaviour.
struct ProfileDetail {
  ProfileSummary summary;
  std::vector<BehaviourRecord> behaviours;
  std::vector<BehaviourRecord> deviations;
};

}  // namespace vedette
