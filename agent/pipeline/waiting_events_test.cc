// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/waiting_events.h"

#include <gtest/gtest.h>

#include <string>

#include "agent/enrich/fake_hasher.h"

namespace vedette {
namespace {

class WaitingEventsTest : public testing::Test {
 protected:
  void SetUp() override {
    Enricher::Options options;
    options.cluster = "test";
    options.boot_id = "3b1f0c2e";
    options.new_number = [] { return 1; };
    options.hasher = &hasher_;
    enricher_ = Enricher::Create(std::move(options)).value();
    waiting_.emplace(enricher_.get(), &clock_);
  }
  EnrichedEvent Exec(uint64_t inode, Reason reason = Reason::kNews) {
    ExecEvent exec;
    exec.process.id = {inode, static_cast<uint32_t>(inode)};
    exec.process.tgid = static_cast<uint32_t>(inode);
    exec.process.code.inode = inode;
    exec.path = "/bin/" + std::to_string(inode);
    exec.origin = CodeOrigin::kHost;
    Event event;
    event.header.reason = reason;
    event.body = std::move(exec);
    return enricher_->Enrich(std::move(event));
  }
  bool Keep(uint64_t inode, Reason reason = Reason::kNews) {
    EnrichedEvent event = Exec(inode, reason);
    return waiting_->Keep(event);
  }

  FakeHasher hasher_;
  ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  std::unique_ptr<Enricher> enricher_;
  std::optional<WaitingEvents> waiting_;
};

TEST_F(WaitingEventsTest, AnEventGoesOnWithItsHashAsSoonAsThatIsThere) {
  EXPECT_TRUE(Keep(1));
  EXPECT_TRUE(Keep(2));
  EXPECT_TRUE(Keep(1));
  EXPECT_TRUE(waiting_->TakeReady(absl::ZeroDuration()).empty());
  hasher_.results.push_back({{.inode = 1}, HashOutcome::kHashed, "aa"});
  const std::vector<EnrichedEvent> ready = waiting_->TakeReady(absl::ZeroDuration());
  ASSERT_EQ(ready.size(), 2u);
  EXPECT_EQ(ready[0].process.code.sha256, "aa");
  EXPECT_EQ(ready[1].process.code.sha256, "aa");
  EXPECT_EQ(waiting_->size(), 1u);
  EXPECT_FALSE(Keep(1)) << "known from now on";
  EXPECT_EQ(waiting_->given_up(), 0u);
}

TEST_F(WaitingEventsTest, AnAnswerWithoutAHashEndsTheWaitAsWell) {
  EXPECT_TRUE(Keep(1));
  hasher_.results.push_back({{.inode = 1}, HashOutcome::kStalled, ""});
  const std::vector<EnrichedEvent> ready = waiting_->TakeReady(absl::ZeroDuration());
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].process.code.sha256, "");
}

TEST_F(WaitingEventsTest, NobodyWaitsForEver) {
  EXPECT_TRUE(Keep(1));
  clock_.Advance(WaitingEvents::kPatience / 2);
  EXPECT_TRUE(Keep(2));
  EXPECT_TRUE(waiting_->TakeReady(absl::ZeroDuration()).empty());
  clock_.Advance(WaitingEvents::kPatience / 2);
  const std::vector<EnrichedEvent> ready = waiting_->TakeReady(absl::ZeroDuration());
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].process.code.path, "/bin/1");
  EXPECT_EQ(waiting_->given_up(), 1u);
  EXPECT_EQ(waiting_->TakeAll().size(), 1u);
  EXPECT_TRUE(waiting_->empty());
}

TEST_F(WaitingEventsTest, WhatIsNotJudgedDoesNotWaitAndTheRoomIsBounded) {
  EXPECT_FALSE(Keep(1, Reason::kFollowUp));
  EXPECT_FALSE(Keep(1, Reason::kTap));
  for (size_t i = 0; i < WaitingEvents::kMaxEvents; ++i) {
    ASSERT_TRUE(Keep(1));
  }
  EXPECT_FALSE(Keep(1));
  EXPECT_EQ(waiting_->given_up(), 1u);
}

}  // namespace
}  // namespace vedette
