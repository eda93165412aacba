// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/score.h"

#include <algorithm>
#include <cmath>

namespace vedette {

double SurpriseBits(uint64_t active_windows, uint64_t novel_windows) {
  // Windows older than those remembered one by one are not counted, novelties in them are.
  const auto novel = static_cast<double>(std::min(novel_windows, active_windows));
  return -std::log2((novel + 1) / (static_cast<double>(active_windows) + 2));
}

}  // namespace vedette
