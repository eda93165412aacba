// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/learning.h"

#include <fmt/format.h>

#include <algorithm>

namespace vedette {
namespace {

// A bound as a person would write it: 3600 s is "1 h", and nothing of it is rounded away.
std::string LimitText(absl::Duration limit) {
  if (limit >= absl::Hours(72) && limit % absl::Hours(24) == absl::ZeroDuration()) {
    return fmt::format("{} d", limit / absl::Hours(24));
  }
  for (const auto& [unit, name] : {std::pair(absl::Hours(1), "h"), {absl::Minutes(1), "min"}}) {
    if (limit >= unit && limit % unit == absl::ZeroDuration()) {
      return fmt::format("{} {}", limit / unit, name);
    }
  }
  return limit % absl::Seconds(1) == absl::ZeroDuration()
             ? fmt::format("{} s", absl::ToInt64Seconds(limit))
             : fmt::format("{} ms", absl::ToInt64Milliseconds(limit));
}

}  // namespace

void Learning::NoteNew(absl::Duration now) {
  state_.last_new = std::max(state_.last_new, now);
  // While nothing of it is there, what is judged late belongs to the run that ended.
  const bool late = state_.absent_since.has_value() && state_.runs > 0;
  state_.last_new_run = std::max(state_.last_new_run, state_.runs - (late ? 1 : 0));
}

void Learning::EndRun(absl::Duration now) {
  if (!state_.absent_since) {
    ++state_.runs;
    state_.absent_since = now;
  }
}

bool Learning::SetPresent(bool present, absl::Duration now) {
  if (present != state_.absent_since.has_value()) {
    return false;
  }
  if (present) {
    state_.absent += now - *state_.absent_since;
    state_.absent_since.reset();
  } else {
    state_.absent_since = now;
  }
  return true;
}

// The run in which the last new thing was learned ends after those that had ended then.
uint64_t Learning::QuietRuns() const {
  const uint64_t noisy = state_.last_new_run + 1;
  return state_.runs > noisy ? state_.runs - noisy : 0;
}

bool Learning::IsJob(absl::Duration now) const {
  const absl::Duration absent =
      state_.absent + (state_.absent_since ? now - *state_.absent_since : absl::ZeroDuration());
  return state_.runs > 0 && 2 * absent >= Watched(now);
}

absl::Duration Learning::JobTime(const LearningRules& rules) {
  return std::min(rules.min_time, kMinJobTime);
}

bool Learning::IsDone(const LearningRules& rules, absl::Duration now) const {
  if (IsJob(now)) {
    return state_.runs >= rules.min_runs && QuietRuns() >= rules.quiet_runs() &&
           Watched(now) >= JobTime(rules);
  }
  return Watched(now) >= rules.min_time && Quiet(now) >= rules.quiet;
}

std::string Learning::Text(const LearningRules& rules, absl::Duration now) const {
  if (!IsJob(now)) {
    std::string text =
        fmt::format("{} of {}", DurationText(Watched(now)), LimitText(rules.min_time));
    if (rules.quiet > absl::ZeroDuration()) {
      text += fmt::format(", quiet {} of {}", DurationText(Quiet(now)), LimitText(rules.quiet));
    }
    return text;
  }
  std::string text = fmt::format("{} of {} runs, {} of {} without news", state_.runs,
                                 rules.min_runs, QuietRuns(), rules.quiet_runs());
  if (Watched(now) < JobTime(rules)) {
    text += fmt::format(", {} of {}", DurationText(Watched(now)), LimitText(JobTime(rules)));
  }
  return text;
}

std::string DurationText(absl::Duration duration) {
  duration = std::max(duration, absl::ZeroDuration());
  if (duration >= absl::Hours(72)) {
    return fmt::format("{} d", absl::ToInt64Hours(duration) / 24);
  }
  if (duration >= absl::Hours(2)) {
    return fmt::format("{} h", absl::ToInt64Hours(duration));
  }
  if (duration >= absl::Minutes(2)) {
    return fmt::format("{} min", absl::ToInt64Minutes(duration));
  }
  return fmt::format("{} s", absl::ToInt64Seconds(duration));
}

}  // namespace vedette
