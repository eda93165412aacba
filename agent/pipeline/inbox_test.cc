// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/inbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace vedette {
namespace {

constexpr absl::Duration kSoon = absl::Seconds(10);

TEST(InboxTest, RefusesABatchThatFindsNoRoomAndLeavesItAsItWas) {
  Inbox inbox;
  Batch batch;
  batch.positions = {7};
  size_t taken = 0;
  while (inbox.Offer(batch)) {
    ASSERT_TRUE(batch.positions.empty());
    batch.positions = {7};
    ASSERT_LT(++taken, 100u);
  }
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(batch.positions, std::vector<uint64_t>{7});
}

TEST(InboxTest, BatchesComeEvenWhileSomebodyAsksWithoutEnd) {
  Inbox inbox;
  Batch batch;
  ASSERT_TRUE(inbox.Offer(batch));
  absl::Status answers[2];
  std::thread askers[2];
  for (int i = 0; i < 2; ++i) {
    askers[i] = std::thread(
        [&, i] { answers[i] = inbox.Ask([] { return absl::OkStatus(); }, absl::Seconds(30)); });
  }
  int tasks = 0;
  int before_batch = 0;
  bool had_batch = false;
  while (tasks < 2 || !had_batch) {
    Inbox::Work work = inbox.Next(true, kSoon);
    ASSERT_TRUE(work.task || work.batch);
    if (work.task) {
      inbox.Run(*work.task);
      ++tasks;
      before_batch += had_batch ? 0 : 1;
    }
    had_batch = had_batch || work.batch.has_value();
  }
  for (std::thread& asker : askers) {
    asker.join();
  }
  EXPECT_LE(before_batch, 1);
  EXPECT_TRUE(answers[0].ok() && answers[1].ok());
}

TEST(InboxTest, ATaskThatNobodyRanInTimeIsNotRunLater) {
  Inbox inbox;
  bool ran = false;
  const absl::Status asked = inbox.Ask(
      [&ran] {
        ran = true;
        return absl::OkStatus();
      },
      absl::Milliseconds(1));
  EXPECT_EQ(asked.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(inbox.Next(true, kSoon).task);
  EXPECT_FALSE(ran);
}

TEST(InboxTest, WhatIsThereIsGivenOutAfterTheCloseAndNothingComesIn) {
  Inbox inbox;
  Batch batch;
  ASSERT_TRUE(inbox.Offer(batch));
  inbox.Close();
  EXPECT_FALSE(inbox.Offer(batch));
  EXPECT_EQ(inbox.Ask([] { return absl::OkStatus(); }, kSoon).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(inbox.Next(true, kSoon).batch.has_value());
  EXPECT_TRUE(inbox.Next(true, kSoon).stop);
}

TEST(InboxTest, BatchesWaitWhileTheyAreNotTaken) {
  Inbox inbox;
  Batch batch;
  ASSERT_TRUE(inbox.Offer(batch));
  EXPECT_FALSE(inbox.Next(false, absl::ZeroDuration()).batch.has_value());
  EXPECT_TRUE(inbox.Next(true, kSoon).batch.has_value());
}

TEST(InboxTest, EventsThatWaitAreCounted) {
  Inbox inbox;
  for (const size_t events : {2, 3}) {
    Batch batch;
    batch.events.resize(events);
    ASSERT_TRUE(inbox.Offer(batch));
  }
  EXPECT_EQ(inbox.queued_events(), 5u);
  ASSERT_TRUE(inbox.Next(true, kSoon).batch);
  EXPECT_EQ(inbox.queued_events(), 3u);
}

}  // namespace
}  // namespace vedette
