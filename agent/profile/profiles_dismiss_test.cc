// SPDX-License-Identifier: Apache-2.0
// What a person's word changes in a profile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

using testing::HasSubstr;

class ProfilesDismissTest : public ProfilesTest {
 protected:
  Dismissal Word(const std::string& finding = "f-1") const {
    return {finding, "al\nice", 1000, clock_.Now(), "it is \xff ours"};
  }
  absl::Status Dismiss(const ScoredEvent& scored, const std::string& finding = "f-1") {
    return profiles_->Dismiss("host/web", scored.behaviour, Word(finding));
  }
};

TEST_F(ProfilesDismissTest, WhatIsDismissedIsKnownAndSaysWhoSaidSoAlsoAfterARestart) {
  Judge(events_.Exec("/bin/a", "a1"));
  Freeze();
  const ScoredEvent scored = Judge(events_.Exec("/bin/new", "n1", {7, 1, 0, 3}));
  ASSERT_EQ(scored.judgement, Judgement::kDeviation);
  Commit();
  ASSERT_TRUE(Dismiss(scored).ok());
  EXPECT_EQ(Judge(events_.Exec("/bin/new", "n1")).judgement, Judgement::kKnown);
  EXPECT_FALSE(profiles_->AddCounts({7, 1, 0, 3}, {.hits = 5}, events_.time)) << "no finding grows";
  EXPECT_EQ(Judge(events_.Exec("/bin/new", "n2")).judgement, Judgement::kDeviation)
      << "another content was not dismissed";
  Commit(true);
  const std::string dump = Dump();
  Reopen();
  EXPECT_EQ(Dump(), dump);
  EXPECT_EQ(Judge(events_.Exec("/bin/new", "n1")).judgement, Judgement::kKnown);
  const ProfileDetail detail = profiles_->Show("host/web").value();
  ASSERT_EQ(detail.behaviours.size(), 2u);
  EXPECT_EQ(detail.behaviours[1].dismissal, Word());
  EXPECT_EQ(detail.behaviours[1].count, 8u);
  const auto json = ToJson(detail)["behaviours"][1]["dismissal"];
  EXPECT_EQ(json["user"], "al\\x0aice");
  EXPECT_EQ(json["reason"], "it is \\xff ours");
  EXPECT_EQ(json["finding"], "f-1");
}

TEST_F(ProfilesDismissTest, WhatIsRestoredIsTheSameDeviationAgain) {
  Judge(events_.Exec("/bin/a"));
  Freeze();
  const ScoredEvent scored = Judge(events_.Exec("/bin/new", "", {7, 1, 0, 3}));
  ASSERT_TRUE(Dismiss(scored).ok());
  Commit();
  EXPECT_EQ(profiles_->Restore("f-2").status().code(), absl::StatusCode::kNotFound);
  const auto restored = profiles_->Restore("f-1");
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(restored->workload, "host/web");
  EXPECT_EQ(restored->behaviour, scored.behaviour);
  EXPECT_TRUE(profiles_->AddCounts({7, 1, 0, 3}, {.hits = 1}, events_.time));
  const ScoredEvent again = Judge(events_.Exec("/bin/new"));
  EXPECT_EQ(again.judgement, Judgement::kDeviation);
  EXPECT_EQ(again.sentence, scored.sentence);
  EXPECT_FALSE(again.first);
  Commit(true);
  const std::string dump = Dump();
  Reopen();
  EXPECT_EQ(Dump(), dump);
  EXPECT_EQ(profiles_->Show("host/web")->deviations.size(), 1u);
  EXPECT_EQ(profiles_->Restore("f-1").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ProfilesDismissTest, VariantsOfOneBehaviourAreMovedOneByOne) {
  Judge(events_.Exec("/bin/a", "a1"));
  Freeze();
  std::vector<ScoredEvent> scored;
  for (const char* hash : {"n1", "n2", "n3"}) {
    scored.push_back(Judge(events_.Exec("/bin/new", hash)));
  }
  for (const size_t order : {1, 0, 2}) {
    ASSERT_TRUE(Dismiss(scored[order], std::to_string(order)).ok());
    EXPECT_EQ(Judge(events_.Exec("/bin/new", scored[order].behaviour.object_sha256)).judgement,
              Judgement::kKnown);
  }
  for (const size_t order : {0, 2, 1}) {
    ASSERT_TRUE(profiles_->Restore(std::to_string(order)).ok());
    EXPECT_EQ(Judge(events_.Exec("/bin/new", scored[order].behaviour.object_sha256)).judgement,
              Judgement::kDeviation);
  }
  EXPECT_EQ(profiles_->Show("host/web")->deviations.size(), 3u);
  EXPECT_EQ(profiles_->List()[0].channels[0].deviations, 3u);
}

TEST_F(ProfilesDismissTest, ARevisionThatIsDismissedMayDoWhatTheOldOneDid) {
  Judge(events_.Connect("db.example", 5432));
  Freeze();
  events_.program_sha256 = "bb22";
  const ScoredEvent revision = Judge(events_.Connect("db.example", 5432));
  ASSERT_EQ(revision.behaviour.object, "/usr/sbin/nginx");
  ASSERT_TRUE(Dismiss(revision).ok());
  EXPECT_EQ(Judge(events_.Connect("db.example", 5432)).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Connect("evil.example", 1)).judgement, Judgement::kDeviation);
  ASSERT_TRUE(profiles_->Restore("f-1").ok());
  EXPECT_EQ(Judge(events_.Connect("db.example", 5432)).behaviour, revision.behaviour);
}

TEST_F(ProfilesDismissTest, ACodeThatNobodyCouldReadIsKnownOnceAccepted) {
  Judge(events_.Connect("db.example", 5432));
  Freeze();
  events_.program_sha256 = "";
  const ScoredEvent unread = Judge(events_.Connect("db.example", 5432));
  ASSERT_EQ(unread.judgement, Judgement::kDeviation);
  ASSERT_TRUE(Dismiss(unread, "f-2").ok());
  EXPECT_EQ(Judge(events_.Connect("db.example", 5432)).judgement, Judgement::kKnown);
}

TEST_F(ProfilesDismissTest, AnUnreadProgramIsKnownOnceAccepted) {
  Judge(events_.Exec("/bin/tool", "1111"));
  Freeze();
  const ScoredEvent unread = Judge(events_.Exec("/bin/tool", ""));
  ASSERT_EQ(unread.judgement, Judgement::kDeviation);
  ASSERT_TRUE(Dismiss(unread).ok());
  EXPECT_EQ(Judge(events_.Exec("/bin/tool", "")).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Exec("/bin/tool", "2222")).judgement, Judgement::kDeviation);
}

TEST_F(ProfilesDismissTest, WhatCannotBeTakenIsSaidInASentence) {
  options_.max_deviations = 2;
  options_.max_behaviours = 1;
  Reopen();
  Judge(events_.Exec("/bin/a"));
  Freeze();
  const ScoredEvent one = Judge(events_.Exec("/bin/1"));
  const ScoredEvent two = Judge(events_.Exec("/bin/2"));
  const ScoredEvent rest = Judge(events_.Exec("/bin/3"));
  EXPECT_THAT(std::string(Dismiss(rest).message()), HasSubstr("stands for many deviations"));
  EXPECT_TRUE(Dismiss(one).ok());
  EXPECT_THAT(std::string(Dismiss(one).message()),
              HasSubstr("the profile of host/web no longer holds what finding f-1 is about"));
  EXPECT_EQ(profiles_->Dismiss("host/gone", one.behaviour, Word()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Dismiss(two).message()), HasSubstr("which is the bound"));
}

TEST_F(ProfilesDismissTest, AProfileThatIsGoneTakesItsDismissalsWithIt) {
  options_.is_running = [](const std::string&) { return false; };
  Reopen();
  Judge(events_.Exec("/bin/a"));
  Freeze();
  ASSERT_TRUE(Dismiss(Judge(events_.Exec("/bin/new"))).ok());
  Commit();
  ASSERT_EQ(profiles_->ForgetGone(10), 1u);
  Commit();
  auto left = db_->Prepare(
      "SELECT (SELECT count(*) FROM dismissal) + "
      "(SELECT count(*) FROM learning) + (SELECT count(*) FROM behaviour)");
  ASSERT_TRUE(left.ok() && left->Step().value());
  EXPECT_EQ(left->Int64(0), 0);
}

}  // namespace
}  // namespace vedette
