// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>

#include "absl/time/time.h"

namespace vedette {

// Until when something may take. By a clock that nobody sets: a host whose time is put right must
// neither give up what is under way nor wait for hours. A value; any thread.
class Deadline {
 public:
  static Deadline In(absl::Duration bound) {
    // No further than the clock goes, and not before now.
    return Deadline(
        std::chrono::steady_clock::now() +
        absl::ToChronoNanoseconds(std::clamp(bound, absl::ZeroDuration(), absl::Hours(24 * 365))));
  }
  static Deadline Now() { return In(absl::ZeroDuration()); }
  static Deadline Never() { return Deadline(std::chrono::steady_clock::time_point::max()); }

  bool IsPassed() const { return std::chrono::steady_clock::now() >= at_; }

  // Zero once it has passed.
  absl::Duration Left() const {
    if (at_ == std::chrono::steady_clock::time_point::max()) {
      return absl::InfiniteDuration();
    }
    return std::max(absl::FromChrono(at_ - std::chrono::steady_clock::now()), absl::ZeroDuration());
  }

  friend auto operator<=>(const Deadline&, const Deadline&) = default;

 private:
  explicit Deadline(std::chrono::steady_clock::time_point at) : at_(at) {}

  std::chrono::steady_clock::time_point at_;
};

}  // namespace vedette
