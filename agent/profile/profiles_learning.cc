// SPDX-License-Identifier: Apache-2.0
// When a profile has learned enough.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/base/text.h"
#include "agent/profile/profiles.h"

namespace vedette {

void Profiles::Tick() {
  for (const auto& profile : profiles_) {
    if (profile->learning.SetPresent(IsRunning(*profile), Uptime())) {
      MarkDirty(profile.get(), Dirty::kRow);
    }
    EndLearningIfDue(profile.get());
  }
}

bool Profiles::IsRunning(const Profile& profile) const {
  return !options_.is_running || options_.is_running(profile.name);
}

// On its way from the kernel an act waits in a ring, a queue, or for the hash of a program. The
// wall clock may be set back, so this holds for a while only, or all after that were learned.
bool Profiles::IsLate(const Profile& profile, absl::Time act) const {
  constexpr absl::Duration kLongestWay = absl::Minutes(1);
  return act < std::min(profile.learned_at, profile.frozen_at) &&
         Uptime() - profile.ended_uptime < kLongestWay;
}

void Profiles::NoteNew(Profile* profile) {
  profile->learning.NoteNew(Uptime());
  MarkDirty(profile, Dirty::kRow);
}

void Profiles::NotePresence(const CgroupEvent& event, const std::string& workload) {
  const auto it = by_name_.find(workload);
  if (it == by_name_.end()) {
    return;
  }
  Profile* profile = it->second;
  const bool running = IsRunning(*profile);
  const bool was_there = !profile->learning.state().absent_since.has_value();
  if (running == was_there) {
    return;
  }
  if (!running && event.change == CgroupEvent::Change::kRemoved) {
    profile->learning.EndRun(Uptime());
  } else {
    profile->learning.SetPresent(running, Uptime());
  }
  MarkDirty(profile, Dirty::kRow);
  EndLearningIfDue(profile);
}

void Profiles::EndLearningIfDue(Profile* profile) {
  // Once learned stays learned, also when a later configuration asks for more.
  if (profile->learned_at == absl::InfiniteFuture() && profile->frozen_by.empty() &&
      profile->learning.IsDone(options_.learning, Uptime())) {
    profile->learned_at = clock_->Now();
    profile->ended_uptime = Uptime();
    profile->learning.End(profile->learning.Text(options_.learning, Uptime()));
    MarkDirty(profile, Dirty::kRow);
    spdlog::info("{}: learning ended after {}", PrintableUtf8(profile->name),
                 profile->learning.state().ended);
  }
}

}  // namespace vedette
