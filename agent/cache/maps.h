// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "agent/base/kernel_clock.h"

namespace vedette {

// What the last call on a map failed with; `what` names the map or the act.
inline absl::Status MapError(std::string_view what) {
  return absl::InternalError(fmt::format("{}: {}", what, strerror(errno)));
}

// Nanoseconds since boot, as programs count them.
inline uint64_t BootNs() {
  return static_cast<uint64_t>(absl::ToInt64Nanoseconds(KernelSinceBoot()));
}

}  // namespace vedette
