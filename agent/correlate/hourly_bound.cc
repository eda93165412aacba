// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/hourly_bound.h"

namespace vedette {

absl::Time HourlyBound::HourOf(absl::Time now) {
  return absl::UnixEpoch() + absl::Floor(now - absl::UnixEpoch(), absl::Hours(1));
}

bool HourlyBound::Take(const std::string& workload, Severity severity, absl::Time now) {
  if (const absl::Time hour = HourOf(now); hour != hour_) {
    hour_ = hour;
    taken_.clear();
  }
  uint64_t& taken = taken_[{workload, severity >= Severity::kHigh}];
  if (taken >= per_hour_) {
    return false;
  }
  ++taken;
  return true;
}

}  // namespace vedette
