// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/skipped_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

namespace vedette {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(SkippedRunsTest, AKernelThatFillsLessDoesNotTellThem) {
  const uint32_t at = offsetof(bpf_prog_info, recursion_misses);
  EXPECT_FALSE(TellsSkippedRuns(at));
  EXPECT_FALSE(TellsSkippedRuns(at + 7));
  EXPECT_TRUE(TellsSkippedRuns(at + 8));
  EXPECT_TRUE(TellsSkippedRuns(sizeof(bpf_prog_info)));
}

TEST(SkippedRunsTest, TheyAddUpPerProbeAndInAll) {
  const std::vector<SkippedRuns> runs = {
      {"tcp", "tcp_state", 5}, {"process", "process_fork", 2}, {"process", "process_exit", 1}};
  EXPECT_EQ(SumOfSkippedRuns(runs, "process"), 3u);
  EXPECT_EQ(SumOfSkippedRuns(runs, "udp"), 0u);
  EXPECT_EQ(SumOfSkippedRuns(runs, ""), 8u);
  EXPECT_EQ(SumOfSkippedRuns({}, ""), 0u);
}

TEST(SkippedRunsTest, AGapNamesTheProgramAndTheNumber) {
  EXPECT_THAT(GapsOfSkippedRuns({{"tcp", "tcp_state", 5}, {"udp", "udp_egress", 0}}),
              ElementsAre(HasSubstr("5 runs of program tcp_state ")));
  EXPECT_THAT(GapsOfSkippedRuns({{"udp", "udp_egress", 0}}), IsEmpty());
  EXPECT_THAT(GapsOfSkippedRuns({{"udp", "udp_egress", 0, true}}),
              ElementsAre(HasSubstr("program udp_egress was detached by somebody else")));
}

TEST(SkippedRunsTest, WhatTheOtherOfAPairDidIsNotSkipped) {
  std::vector<SkippedRuns> runs = {{"tcp", "tcp_state", 5}, {"udp", "udp_egress", 2}};
  LeaveOutPairs(runs);
  EXPECT_EQ(SumOfSkippedRuns(runs, "tcp"), 5u) << "the other is not attached";
  runs.push_back({"tcp", "tcp_nested", 3, true});
  LeaveOutPairs(runs);
  EXPECT_EQ(SumOfSkippedRuns(runs, "tcp"), 8u) << "it does not run";
  runs.back().detached = false;
  LeaveOutPairs(runs);
  EXPECT_EQ(SumOfSkippedRuns(runs, "tcp"), 0u);
  EXPECT_EQ(SumOfSkippedRuns(runs, ""), 2u) << "of other programs";
}

}  // namespace
}  // namespace vedette
