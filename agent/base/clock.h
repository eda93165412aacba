// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace vedette {

// Source of wall-clock time; a parameter everywhere, so that tests and replay set it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

// Since the kernel's boot, suspended time included.
inline absl::Duration SinceBoot() {
  timespec since_boot = {};
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return absl::DurationFromTimespec(since_boot);
}

// Passes as the kernel's boot clock does and is never set: for how long something lasts, not for
// when it was.
class SteadyClock final : public Clock {
 public:
  absl::Time Now() const override { return start_ + SinceBoot(); }

 private:
  const absl::Time start_ = absl::Now() - SinceBoot();
};

// Stands still until it is told to move. One thread.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time now) : now_(now) {}
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration by) { now_ += by; }
  void Set(absl::Time now) { now_ = now; }

 private:
  absl::Time now_;
};

}  // namespace vedette
