// SPDX-License-Identifier: Apache-2.0
#include "agent/base/deadline.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vedette {
namespace {

TEST(DeadlineTest, HasTimeLeftUntilItHasPassed) {
  const Deadline later = Deadline::In(absl::Hours(1));
  EXPECT_FALSE(later.IsPassed());
  EXPECT_GT(later.Left(), absl::Minutes(59));
  EXPECT_LE(later.Left(), absl::Hours(1));
  EXPECT_TRUE(Deadline::Now().IsPassed());
  EXPECT_EQ(Deadline::Now().Left(), absl::ZeroDuration());
  EXPECT_EQ(std::min(later, Deadline::Never()), later);
  EXPECT_LT(Deadline::Now(), later);
}

TEST(DeadlineTest, BoundsBeyondTheClockAreHeldToIt) {
  EXPECT_TRUE(Deadline::In(-absl::InfiniteDuration()).IsPassed());
  EXPECT_FALSE(Deadline::In(absl::InfiniteDuration()).IsPassed());
  EXPECT_GT(Deadline::In(absl::InfiniteDuration()).Left(), absl::Hours(24 * 364));
  EXPECT_FALSE(Deadline::Never().IsPassed());
  EXPECT_EQ(Deadline::Never().Left(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace vedette
