// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/learning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kHour = absl::Hours(1);

TEST(LearningTest, AServiceCountsHoursAndThenQuietOnes) {
  const LearningRules rules;
  Learning learning(kHour);
  EXPECT_EQ(learning.Text(rules, 19 * kHour), "18 h of 24 h, quiet 18 h of 6 h");
  learning.NoteNew(17 * kHour);
  EXPECT_EQ(learning.Text(rules, 19 * kHour), "18 h of 24 h, quiet 2 h of 6 h");
  EXPECT_FALSE(learning.IsDone(rules, 24 * kHour));
  EXPECT_TRUE(learning.IsDone(rules, 25 * kHour));
  learning.NoteNew(20 * kHour);
  EXPECT_FALSE(learning.IsDone(rules, 25 * kHour));
  EXPECT_TRUE(learning.IsDone(rules, 26 * kHour));
  EXPECT_EQ(learning.Text({.quiet = absl::ZeroDuration()}, 25 * kHour), "24 h of 24 h");
}

// One run of a minute; gives the time of its end.
absl::Duration RunOnce(Learning& learning, absl::Duration at) {
  learning.SetPresent(true, at);
  learning.EndRun(at + absl::Minutes(1));
  return at + absl::Minutes(1);
}

TEST(LearningTest, AJobCountsRunsAndThoseWithoutNews) {
  const LearningRules rules;
  Learning learning(absl::ZeroDuration());
  absl::Duration now;
  for (int day = 0; day < 4; ++day) {
    now = RunOnce(learning, day * 24 * kHour);
    EXPECT_EQ(learning.state().runs, static_cast<uint64_t>(day) + 1);
  }
  EXPECT_TRUE(learning.IsJob(now));
  EXPECT_EQ(learning.Text(rules, now), "4 of 5 runs, 3 of 3 without news");
  EXPECT_FALSE(learning.IsDone(rules, now)) << "hours do not matter: there were three days of them";
  learning.SetPresent(true, 96 * kHour);
  learning.NoteNew(96 * kHour);
  learning.EndRun(97 * kHour);
  EXPECT_EQ(learning.Text(rules, 97 * kHour), "5 of 5 runs, 0 of 3 without news");
  for (int day = 5; day < 8; ++day) {
    EXPECT_FALSE(learning.IsDone(rules, now)) << day;
    now = RunOnce(learning, day * 24 * kHour);
  }
  EXPECT_TRUE(learning.IsDone(rules, now));
}

TEST(LearningTest, AServiceThatIsRestartedOrCrashesAtFirstIsNoLearnedJob) {
  const LearningRules rules;
  Learning restarted(absl::ZeroDuration());
  for (int i = 1; i <= 9; ++i) {
    restarted.EndRun(i * kHour);
    restarted.SetPresent(true, i * kHour + absl::Seconds(2));
  }
  EXPECT_FALSE(restarted.IsJob(10 * kHour));
  EXPECT_FALSE(restarted.IsDone(rules, 10 * kHour));

  Learning crashing(absl::ZeroDuration());
  absl::Duration now;
  for (int i = 0; i < 9; ++i) {
    now = RunOnce(crashing, i * absl::Minutes(3));
  }
  EXPECT_TRUE(crashing.IsJob(now));
  EXPECT_EQ(crashing.Text(rules, now), "9 of 5 runs, 8 of 3 without news, 25 min of 1 h");
  EXPECT_FALSE(crashing.IsDone(rules, now));
  crashing.SetPresent(true, now);
  EXPECT_FALSE(crashing.IsDone(rules, kHour)) << "it runs on: a service after all";
  EXPECT_FALSE(crashing.IsJob(kHour));
}

TEST(LearningTest, BoundsReadAsTheyWereWritten) {
  Learning learning(absl::ZeroDuration());
  LearningRules rules;
  for (const auto& [min_time, quiet, text] :
       {std::tuple(absl::Hours(24), absl::Hours(1), "90 s of 24 h, quiet 90 s of 1 h"),
        std::tuple(absl::Hours(168), absl::Minutes(90), "90 s of 7 d, quiet 90 s of 90 min"),
        std::tuple(absl::Hours(73), absl::Seconds(100), "90 s of 73 h, quiet 90 s of 100 s"),
        std::tuple(absl::Hours(1), absl::Milliseconds(500), "90 s of 1 h, quiet 90 s of 500 ms")}) {
    rules.min_time = min_time;
    rules.quiet = quiet;
    EXPECT_EQ(learning.Text(rules, absl::Seconds(90)), text);
  }
}

TEST(LearningTest, NewsThatAreJudgedAfterTheirRunEndedBelongToIt) {
  const LearningRules rules;
  Learning learning(absl::ZeroDuration());
  absl::Duration now;
  for (int day = 0; day < 3; ++day) {
    now = RunOnce(learning, day * 24 * kHour);
  }
  learning.NoteNew(now);
  EXPECT_EQ(learning.QuietRuns(), 0u);
  now = RunOnce(learning, 72 * kHour);
  EXPECT_EQ(learning.QuietRuns(), 1u);
}

TEST(LearningTest, WhatEndedUnseenIsNoRun) {
  Learning learning(absl::ZeroDuration());
  EXPECT_TRUE(learning.SetPresent(false, kHour));
  EXPECT_FALSE(learning.SetPresent(false, 2 * kHour));
  learning.EndRun(2 * kHour);
  EXPECT_EQ(learning.state().runs, 0u);
  EXPECT_FALSE(learning.IsJob(100 * kHour));
}

// Cgroups that come and go, as the agent tells Profiles.
class RunsTest : public ProfilesTest {
 protected:
  RunsTest() {
    options_.is_running = [this](const std::string& workload) { return there_.contains(workload); };
    there_.insert("host/web");
    Reopen();
  }
  void Begin() {
    there_.insert("host/web");
    CgroupEvent made;
    made.change = CgroupEvent::Change::kCreated;
    Judge(events_.With(made));
  }
  void End() {
    there_.erase("host/web");
    CgroupEvent removed;
    removed.change = CgroupEvent::Change::kRemoved;
    Judge(events_.With(removed));
  }
  void RunAndWait(const std::string& program, absl::Duration wait = absl::Hours(24)) {
    Begin();
    Judge(events_.Exec(program));
    Wait(absl::Minutes(1));
    End();
    Wait(wait);
    profiles_->Tick();
  }
  ProfileSummary Summary() { return profiles_->List()[0]; }

  std::set<std::string> there_;
};

TEST_F(RunsTest, LearningOfAJobEndsByItsRuns) {
  Judge(events_.Exec("/bin/job"));
  Wait(absl::Minutes(1));
  End();
  Wait(absl::Hours(24));
  profiles_->Tick();
  EXPECT_TRUE(Summary().is_job);
  EXPECT_EQ(Summary().state_text, "learning (1 of 5 runs, 0 of 3 without news)");
  RunAndWait("/bin/other");
  RunAndWait("/bin/job");
  RunAndWait("/bin/job");
  EXPECT_EQ(Summary().state_text, "learning (4 of 5 runs, 2 of 3 without news)");
  Commit();
  Reopen();
  EXPECT_EQ(Summary().state_text, "learning (4 of 5 runs, 2 of 3 without news)");
  RunAndWait("/bin/job");
  EXPECT_EQ(Summary().state, ProfileState::kLearned);
  EXPECT_EQ(Summary().progress, "5 of 5 runs, 3 of 3 without news");
  Begin();
  EXPECT_EQ(Judge(events_.Exec("/bin/new")).judgement, Judgement::kDeviation);
  Commit();
  Reopen();
  EXPECT_EQ(Summary().progress, "5 of 5 runs, 3 of 3 without news");
}

TEST_F(RunsTest, ARunThatWasOverBeforeItWasJudgedCounts) {
  there_.clear();
  Judge(events_.Exec("/bin/job"));
  EXPECT_EQ(Summary().runs, 1u);
}

TEST_F(RunsTest, SeveralInstancesAtOnceAreOneRun) {
  Judge(events_.Exec("/bin/job"));
  CgroupEvent removed;
  removed.change = CgroupEvent::Change::kRemoved;
  Judge(events_.With(removed));  // Another is there still.
  EXPECT_EQ(Summary().runs, 0u);
  End();
  EXPECT_EQ(Summary().runs, 1u);
}

TEST_F(RunsTest, AFrozenProfileSaysHowFarItWas) {
  Judge(events_.Exec("/bin/a"));
  Wait(absl::Minutes(3));
  Freeze();
  Wait(absl::Hours(50));
  profiles_->Tick();
  EXPECT_EQ(Summary().progress, "3 min of 24 h, quiet 3 min of 6 h");
  EXPECT_EQ(Summary().state_text, "frozen (by root)");
}

TEST_F(RunsTest, AStoreOfBeforeBeginsItsQuietTimeAnew) {
  Judge(events_.Exec("/bin/a"));
  Wait(absl::Hours(23));
  Commit(true);
  ASSERT_TRUE(db_->Exec("DELETE FROM learning").ok());
  Reopen();
  EXPECT_EQ(Summary().state_text, "learning (23 h of 24 h, quiet 0 s of 6 h)");
  ASSERT_TRUE(db_->Exec("INSERT INTO learning SELECT id, 0, 0, 5, 0, -1, '' FROM workload").ok());
  EXPECT_THAT(std::string(Profiles::Load(db_.get(), &clock_, options_).status().message()),
              HasSubstr("table learning holds a row that cannot be"));
}

}  // namespace
}  // namespace vedette
