// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace vedette {

inline constexpr absl::Duration kActivityWindow = absl::Seconds(10);

// Counts the windows of 10 s in which a channel was active. Remembers the last 64 of them one by
// one, so that events that come out of order count a window once and the order does not matter;
// what is older than that is ignored. A value; no thread of its own.
class Activity {
 public:
  Activity() = default;
  Activity(uint64_t windows, int64_t newest, uint64_t recent)
      : windows_(windows), newest_(newest), recent_(recent) {}

  static int64_t WindowOf(absl::Time time) {
    return absl::ToUnixSeconds(time) / absl::ToInt64Seconds(kActivityWindow);
  }

  // True: the window was not counted before.
  bool Mark(absl::Time time) {
    constexpr int64_t kRemembered = 64;
    const int64_t window = WindowOf(time);
    if (window > newest_ || windows_ == 0) {
      const int64_t shift = windows_ == 0 ? kRemembered : window - newest_;
      recent_ = shift >= kRemembered ? 0 : recent_ << shift;
      newest_ = window;
    }
    const int64_t age = newest_ - window;
    if (age >= kRemembered || (recent_ >> age & 1) != 0) {
      return false;
    }
    recent_ |= uint64_t{1} << age;
    ++windows_;
    return true;
  }

  uint64_t windows() const { return windows_; }
  int64_t newest() const { return newest_; }
  uint64_t recent() const { return recent_; }  // Bit n: window `newest - n` was active.

 private:
  uint64_t windows_ = 0;
  int64_t newest_ = 0;
  uint64_t recent_ = 0;
};

}  // namespace vedette
