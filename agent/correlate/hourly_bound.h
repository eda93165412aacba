// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/correlate/finding.h"

namespace vedette {

// How many new findings of a workload go out in one hour, those of high severity counted apart: a
// flood of small ones must not use up the room of a grave one. Hours are those of the clock, so the
// bound of a workload starts anew at each full hour. Not kept over a restart. Owned by Correlator.
class HourlyBound {
 public:
  explicit HourlyBound(uint64_t per_hour) : per_hour_(per_hour) {}

  // Takes one; false: the hour's are used up.
  bool Take(const std::string& workload, Severity severity, absl::Time now);
  // The hour that `now` is in.
  static absl::Time HourOf(absl::Time now);

 private:
  const uint64_t per_hour_;
  absl::Time hour_ = absl::InfinitePast();
  absl::flat_hash_map<std::pair<std::string, bool>, uint64_t> taken_;  // By workload, is it high.
};

}  // namespace vedette
