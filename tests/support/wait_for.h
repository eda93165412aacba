// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace testing {}

// Tests live in namespace vedette, where `testing::Test` would stop at this namespace and not find
// GoogleTest's. The directive lets such names go on to it.
namespace vedette::testing {
using namespace ::testing;  // NOLINT(google-build-using-namespace)

inline constexpr absl::Duration kDefaultBound = absl::Seconds(10);

// Lets time pass where the moment is what is tested: a kill in the midst of something, an act at
// any phase of the agent's poll. Nothing may depend on what has happened by then; for that is
// WaitFor.
inline void LetPass(absl::Duration duration) {
  poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(duration)));
}

// Asks `condition` until it holds or `bound` has passed; says whether it held. The pause between
// two questions is a poll of nothing and grows to 20 ms.
template <typename Condition>
bool WaitFor(Condition condition, absl::Duration bound = kDefaultBound) {
  const absl::Time end = absl::Now() + bound;
  for (int pause_ms = 1;; pause_ms = pause_ms < 20 ? pause_ms * 2 : 20) {
    if (condition()) {
      return true;
    }
    if (absl::Now() >= end) {
      return false;
    }
    poll(nullptr, 0, pause_ms);
  }
}

}  // namespace vedette::testing
