// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace vedette {

// When learning ends by itself.
struct LearningRules {
  absl::Duration min_time = absl::Hours(24);  // Of watching …
  absl::Duration quiet = absl::Hours(6);      // … and so long without anything new.
  // Of a job: so many runs, the last of which (half of them, rounded up) brought nothing new. Five
  // are the working week of a daily job; after three runs without news the next one has some with a
  // probability of one in five by Laplace's rule.
  uint64_t min_runs = 5;

  uint64_t quiet_runs() const { return (min_runs + 1) / 2; }
};

// A job is watched for so long at least, or for min_time where that is shorter: a service that
// crashes some times while it is set up is there as rarely as a job.
inline constexpr absl::Duration kMinJobTime = absl::Hours(1);

// The evidence for ending the learning of one workload: how long it was watched, since when nothing
// new was learned, and its runs. A run is the time in which any cgroup of the workload is there. A
// workload that had runs and is away for half of the time or more is a job, and counts runs instead
// of hours. Times are the summed running time of the agents, so that nothing counts while nobody
// looks. A value in a profile; it reads no clock and no cgroup.
class Learning {
 public:
  // What the store keeps.
  struct State {
    absl::Duration last_new;
    uint64_t runs = 0;          // That ended.
    uint64_t last_new_run = 0;  // Runs that had ended when something new was learned last.
    absl::Duration absent;      // In all absences that are over.
    std::optional<absl::Duration> absent_since = {};
    // Of a profile that learns no more: how far it was then; see Text.
    std::string ended = {};
  };

  Learning() = default;
  explicit Learning(absl::Duration begun) : begun_(begun) { state_.last_new = begun; }
  Learning(absl::Duration begun, State state) : begun_(begun), state_(std::move(state)) {}

  absl::Duration begun() const { return begun_; }
  const State& state() const { return state_; }

  void NoteNew(absl::Duration now);
  void EndRun(absl::Duration now);
  // Is the workload there? True: that changed. An end that is noticed here was not seen as such and
  // is no run.
  bool SetPresent(bool present, absl::Duration now);
  void End(std::string how_far) { state_.ended = std::move(how_far); }

  absl::Duration Watched(absl::Duration now) const { return now - begun_; }
  absl::Duration Quiet(absl::Duration now) const { return now - state_.last_new; }
  uint64_t QuietRuns() const;  // The last ones, in which nothing new was learned.
  bool IsJob(absl::Duration now) const;
  bool IsDone(const LearningRules& rules, absl::Duration now) const;
  // "18 h of 24 h, quiet 2 h of 6 h", "4 of 5 runs, 1 of 3 without news".
  std::string Text(const LearningRules& rules, absl::Duration now) const;

 private:
  static absl::Duration JobTime(const LearningRules& rules);

  absl::Duration begun_;
  State state_;
};

// "26 h", "3 min", "12 s": for reading, rounded down.
std::string DurationText(absl::Duration duration);

}  // namespace vedette
