// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

using testing::ElementsAre;

// Three profiles are the bound; a test says which workloads run.
class ProfilesEvictTest : public ProfilesTest {
 protected:
  ProfilesEvictTest() {
    options_.max_workloads = 3;
    options_.is_running = [this](const std::string& name) { return running_.contains(name); };
    Reopen();
  }

  Judgement Act(const std::string& workload, CacheSlot slot = {}) {
    events_.workload = workload;
    Wait(absl::Seconds(1));
    return Judge(events_.Exec("/bin/a", "", slot)).judgement;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const ProfileSummary& profile : profiles_->List()) {
      names.push_back(profile.workload);
    }
    return names;
  }
  int64_t Rows(const std::string& table) {
    auto select = db_->Prepare("SELECT COUNT(*) FROM " + table).value();
    EXPECT_TRUE(select.Step().value());
    return select.Int64(0);
  }

  std::set<std::string> running_;
};

TEST_F(ProfilesEvictTest, TheOneThatIsGoneTheLongestMakesRoom) {
  for (const char* name : {"host/a", "host/b", "host/c", "host/a"}) {
    Act(name);
  }
  EXPECT_EQ(Act("host/d"), Judgement::kLearned);
  EXPECT_THAT(Names(), ElementsAre("host/a", "host/c", "host/d"));
  EXPECT_EQ(profiles_->counters().profiles_evicted, 1u);
  EXPECT_EQ(profiles_->counters().frozen_evicted, 0u);
  EXPECT_EQ(profiles_->counters().profiles_made, 4u);
  EXPECT_EQ(profiles_->size(), 3u);
  EXPECT_TRUE(profiles_->ledger().Balances());
  EXPECT_EQ(profiles_->Show("host/b").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ProfilesEvictTest, WhatRunsIsNeverEvictedHoweverLongItIsSilent) {
  for (const char* name : {"host/a", "host/b", "host/c"}) {
    running_.insert(name);
    Act(name);
  }
  EXPECT_EQ(Act("host/d"), Judgement::kNotABehaviour);
  EXPECT_EQ(profiles_->ledger().DroppedFor(kDropWorkloadsFull), 1u);
  running_.erase("host/c");
  EXPECT_EQ(Act("host/d"), Judgement::kLearned);
  EXPECT_THAT(Names(), ElementsAre("host/a", "host/b", "host/d"));
}

TEST_F(ProfilesEvictTest, WhatTheKernelStillCountsForIsNotEvicted) {
  Act("host/a", {7, 1, 0, 2});
  Act("host/b", {8, 1, 0, 2});
  Act("host/c", {9, 1, 0, 2});
  EXPECT_EQ(Act("host/d"), Judgement::kNotABehaviour);
  profiles_->ForgetSlots(8, ~uint64_t{0});
  EXPECT_EQ(Act("host/d", {10, 1, 0, 2}), Judgement::kLearned);
  EXPECT_THAT(Names(), ElementsAre("host/a", "host/c", "host/d"));
  // A slot that was given to another behaviour counts for that one alone.
  Act("host/d", {7, 1, 0, 2});
  EXPECT_EQ(Act("host/e"), Judgement::kLearned);
  EXPECT_THAT(Names(), ElementsAre("host/c", "host/d", "host/e"));
}

TEST_F(ProfilesEvictTest, FrozenOnesGoLastAndAreCountedOnTheirOwn) {
  Act("host/a");
  Act("host/b");
  Freeze();
  Act("host/c");
  Act("host/d");
  EXPECT_THAT(Names(), ElementsAre("host/a", "host/b", "host/d"));
  EXPECT_EQ(profiles_->counters().profiles_evicted, 1u);
  running_.insert("host/d");
  Act("host/e");
  EXPECT_THAT(Names(), ElementsAre("host/b", "host/d", "host/e"));
  EXPECT_EQ(profiles_->counters().profiles_evicted, 1u);
  EXPECT_EQ(profiles_->counters().frozen_evicted, 1u);
}

TEST_F(ProfilesEvictTest, TheLastActIsKnownAfterARestart) {
  for (const char* name : {"host/a", "host/b", "host/c"}) {
    Act(name, {7, 1, 0, 2});
  }
  Act("host/a");
  Commit();
  Reopen();
  Act("host/d");
  EXPECT_THAT(Names(), ElementsAre("host/a", "host/c", "host/d"));
  EXPECT_EQ(profiles_->counters().profiles_made, 4u);
}

TEST_F(ProfilesEvictTest, AnEvictedProfileLeavesTheStoreAlsoAfterARollback) {
  for (const char* name : {"host/a", "host/b", "host/c"}) {
    Act(name);
  }
  Commit();
  EXPECT_EQ(Rows("workload"), 3);
  Act("host/d");
  ASSERT_TRUE(db_->Begin().ok());
  ASSERT_TRUE(profiles_->Write().ok());
  db_->Rollback();
  Act("host/a");  // It comes back before its rows were removed: it learns anew, and b goes.
  Commit();
  EXPECT_EQ(Rows("workload"), 3);
  EXPECT_EQ(Rows("behaviour"), 3);
  EXPECT_EQ(Rows("activity"), 3);
  const std::vector<std::string> names = Names();
  EXPECT_THAT(names, ElementsAre("host/a", "host/c", "host/d"));
  Reopen();
  EXPECT_EQ(Names(), names);
  EXPECT_EQ(profiles_->Show("host/a")->behaviours[0].count, 1u);
}

TEST_F(ProfilesEvictTest, WhileTheStoreTakesNothingOnlySoManyMakeRoom) {
  for (size_t i = 0; i < kMaxUnsavedEvictions + 10; ++i) {
    Act("host/" + std::to_string(i));
  }
  EXPECT_EQ(profiles_->counters().profiles_evicted, kMaxUnsavedEvictions);
  EXPECT_EQ(profiles_->ledger().DroppedFor(kDropWorkloadsFull), 7u);
  Commit();
  EXPECT_EQ(Rows("workload"), 3);
  EXPECT_EQ(Act("host/next"), Judgement::kLearned);
}

}  // namespace
}  // namespace vedette
