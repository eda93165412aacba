// SPDX-License-Identifier: Apache-2.0
#include "agent/base/kernel_clock.h"

#include <cstdint>
#include <fstream>
#include <string>

#include "agent/base/clock.h"

namespace vedette {
namespace {

absl::Duration OffsetOfTimeNamespace() {
  std::ifstream offsets("/proc/self/timens_offsets");
  std::string clock;
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
  while (offsets >> clock >> seconds >> nanoseconds) {
    if (clock == "boottime") {
      return absl::Seconds(seconds) + absl::Nanoseconds(nanoseconds);
    }
  }
  return absl::ZeroDuration();
}

}  // namespace

absl::Duration KernelSinceBoot() {
  static const absl::Duration offset = OffsetOfTimeNamespace();
  return SinceBoot() - offset;
}

}  // namespace vedette
