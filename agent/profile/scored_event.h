// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/enrich/enriched_event.h"
#include "agent/profile/behaviour.h"

namespace vedette {

// How sure the profile was when it judged.
enum class ProfileState { kLearning, kLearned, kFrozen };

enum class Judgement {
  kNotABehaviour,  // Context, follow-up, tap.
  kKnown,          // The profile holds it already.
  kLearned,        // New, and taken into the profile: it is learning, or the act is expected.
  kDeviation,      // New, and the profile no longer learns.
};

// An event judged against its workload's profile.
struct ScoredEvent {
  EnrichedEvent enriched;
  Judgement judgement = Judgement::kNotABehaviour;
  Behaviour behaviour;        // Meaningless for kNotABehaviour.
  Act act;                    // Also where no profile could take it, or took it for another.
  bool no_room = false;       // No profile could take it: dropped, with a reason in the ledger.
  bool first = false;         // The profile did not hold the behaviour until now.
  double score = 0;           // kDeviation: bits of surprise, -log2 of the estimated probability.
  bool new_revision = false;  // kDeviation: the program is known, its content is not.
  std::string sentence;  // kDeviation: what is new, how rare, compared with what, on what evidence.
  ProfileState state = ProfileState::kLearning;
  std::string state_text;  // "learned", "frozen (by root)"
  // The default profile that covers the act, and why; empty: none. See DefaultProfiles.
  std::string default_profile;
  std::string covered_by;
  absl::Duration watched;  // How long the workload was watched.
};

}  // namespace vedette
