// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vedette {
namespace {

using ::testing::HasSubstr;

TEST(AccountTest, ABatchThatWasLostBetweenTheThreadsIsAGap) {
  EXPECT_EQ(GapOf({.handed_on = 10, .queued = 4, .entered = 6}), std::nullopt);
  // Handed on after the count was read.
  EXPECT_EQ(GapOf({.handed_on = 10, .queued = 7, .entered = 6}), std::nullopt);
  const std::optional<std::string> gap = GapOf({.handed_on = 10, .queued = 0, .entered = 6});
  ASSERT_TRUE(gap);
  EXPECT_THAT(*gap, HasSubstr("4 events"));
}

}  // namespace
}  // namespace vedette
