// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/record_counts.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(RecordCountsTest, WhatFindsNoRoomIsCountedAndWhoIsGoneMakesRoom) {
  RecordCounts counts(2);
  for (const char* workload : {"a", "b", "a", "c", "c"}) {
    counts.Count(workload);
  }
  EXPECT_EQ(counts.Of("a"), 2u);
  EXPECT_EQ(counts.Of("b"), 1u);
  EXPECT_EQ(counts.Of("c"), 0u);
  EXPECT_EQ(counts.left_out(), 2u);

  counts.Keep([](const std::string& workload) { return workload == "a"; });
  counts.Count("c");
  EXPECT_EQ(counts.Of("a"), 2u);
  EXPECT_EQ(counts.Of("b"), 0u);
  EXPECT_EQ(counts.Of("c"), 1u);
  EXPECT_EQ(counts.left_out(), 2u);
}

}  // namespace
}  // namespace vedette
