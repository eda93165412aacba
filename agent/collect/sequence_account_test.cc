// SPDX-License-Identifier: Apache-2.0
#include "agent/collect/sequence_account.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

EventHeader Numbered(uint32_t cpu, uint32_t lane, uint64_t sequence) {
  EventHeader header;
  header.cpu = cpu;
  header.lane = lane;
  header.sequence = sequence;
  return header;
}

const SequenceAccount::Line& LineOf(const SequenceAccount& account, uint32_t cpu, uint32_t lane) {
  return account.lines().at(static_cast<uint64_t>(cpu) << 32 | lane);
}

TEST(SequenceAccountTest, NumbersWithoutHolesAreComplete) {
  SequenceAccount account;
  for (uint64_t n : {7, 8, 9}) {
    account.Received(Numbered(0, 0, n));
  }
  EXPECT_EQ(LineOf(account, 0, 0).missing(), 0u);
}

TEST(SequenceAccountTest, RecordsThatPassEachOtherAreNoGap) {
  SequenceAccount account;
  for (uint64_t n : {8, 7, 10, 9}) {
    account.Received(Numbered(0, 0, n));
  }
  EXPECT_EQ(LineOf(account, 0, 0).missing(), 0u);
}

TEST(SequenceAccountTest, AHoleIsAGapUnlessTheKernelSaysItDropped) {
  SequenceAccount account;
  for (uint64_t n : {1, 2, 5}) {
    account.Received(Numbered(1, 2, n));
  }
  const SequenceAccount::Line& line = LineOf(account, 1, 2);
  EXPECT_EQ(line.missing(), 2u);
  EXPECT_EQ(SequenceAccount::Gap(line, 2), 0u);
  EXPECT_EQ(SequenceAccount::Gap(line, 1), 1u);
}

TEST(SequenceAccountTest, CpusAndLanesAreNumberedApart) {
  SequenceAccount account;
  account.Received(Numbered(0, 0, 5));
  account.Received(Numbered(1, 0, 50));
  account.Received(Numbered(0, 1, 500));
  EXPECT_EQ(account.lines().size(), 3u);
  for (const auto& [key, line] : account.lines()) {
    EXPECT_EQ(line.missing(), 0u);
  }
}

}  // namespace
}  // namespace vedette
