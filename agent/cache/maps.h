// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <time.h>

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace vedette {

// What the last call on a map failed with; `what` names the map or the act.
inline absl::Status MapError(std::string_view what) {
  return absl::InternalError(fmt::format("{}: {}", what, strerror(errno)));
}

// Nanoseconds since boot, as programs count them.
inline uint64_t BootNs() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace vedette
