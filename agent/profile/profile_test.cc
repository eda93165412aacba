// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profile.h"

#include <gtest/gtest.h>

#include "agent/profile/activity.h"
#include "agent/profile/score.h"

namespace vedette {
namespace {

using Match = Profile::Match;

Behaviour Exec(std::string subject_hash, std::string object_hash) {
  return {Channel::kExec, "/sbin/init",           std::move(subject_hash),
          "/bin/a",       std::move(object_hash), ""};
}

ProfileEntry* Add(Profile& profile, Behaviour behaviour, bool deviation = false) {
  BehaviourRecord record;
  record.behaviour = std::move(behaviour);
  return profile.Add(std::move(record), deviation);
}

TEST(ProfileTest, APathIsEnoughOnlyWhereNoHashOfItIsKnown) {
  Profile profile("w", "", absl::UnixEpoch());
  EXPECT_EQ(profile.FindLearned(Exec("s", "o")).match, Match::kNone);
  Add(profile, Exec("s", ""));
  EXPECT_EQ(profile.FindLearned(Exec("s", "")).match, Match::kExact);
  EXPECT_EQ(profile.FindLearned(Exec("s", "any")).match, Match::kByPath);
  EXPECT_EQ(profile.FindLearned(Exec("", "")).match, Match::kSubjectRevision);
  Add(profile, Exec("s", "o"));
  EXPECT_EQ(profile.FindLearned(Exec("s", "o")).match, Match::kExact);
  EXPECT_EQ(profile.FindLearned(Exec("s", "any")).match, Match::kObjectRevision);
  EXPECT_EQ(profile.FindLearned(Exec("other", "o")).match, Match::kSubjectRevision);
}

TEST(ProfileTest, AnUnknownHashIsNoMatchWhereOneIsKnown) {
  Profile profile("w", "", absl::UnixEpoch());
  ProfileEntry* unhashed = Add(profile, Exec("s", ""));
  ProfileEntry* hashed = Add(profile, Exec("s", "o"));
  const Profile::Found gone = profile.FindLearned(Exec("s", ""));
  EXPECT_EQ(gone.match, Match::kObjectRevision);
  EXPECT_EQ(gone.entry, hashed) << "with which it can be compared";
  EXPECT_EQ(gone.same, unhashed) << "so that it is not learned twice";
  EXPECT_EQ(gone.known_or_same(), unhashed);
  EXPECT_EQ(profile.FindLearned(Exec("", "o")).match, Match::kSubjectRevision);
  EXPECT_EQ(profile.FindLearned(Exec("", "o")).same, nullptr);
  EXPECT_FALSE(profile.KnowsCode("/bin/a", ""));
  EXPECT_TRUE(profile.KnowsCode("/bin/a", "o"));
}

TEST(ProfileTest, ScriptAndPathAreComparedInFull) {
  Profile profile("w", "", absl::UnixEpoch());
  Behaviour b = Exec("s", "o");
  b.qualifier = "/x.sh";
  Add(profile, b);
  b.qualifier = "/y.sh";
  EXPECT_EQ(profile.FindLearned(b).match, Match::kNone);
}

TEST(ProfileTest, DeviationsAreNotLearned) {
  Profile profile("w", "", absl::UnixEpoch());
  ProfileEntry* entry = Add(profile, Exec("s", "o"), true);
  EXPECT_EQ(profile.FindLearned(Exec("s", "o")).match, Match::kNone);
  EXPECT_EQ(profile.FindDeviation(Exec("s", "o")).entry, entry);
  EXPECT_EQ(profile.FindDeviatingProgram("/bin/a", "o"), entry);
  EXPECT_EQ(profile.FindDeviatingProgram("/bin/a", "p"), nullptr);
  EXPECT_FALSE(profile.KnowsCode("/bin/a", "o"));
  EXPECT_EQ(profile.Size(Channel::kExec, true), 1u);
  EXPECT_EQ(profile.Size(Channel::kExec, false), 0u);
}

TEST(ActivityTest, AWindowCountsOnceInAnyOrder) {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  Activity forward, backward;
  for (int i = 0; i < 60; ++i) {
    forward.Mark(start + i * absl::Seconds(5));
    backward.Mark(start + (59 - i) * absl::Seconds(5));
  }
  EXPECT_EQ(forward.windows(), 30u);
  EXPECT_EQ(backward.windows(), 30u);
  EXPECT_EQ(forward.recent(), backward.recent());
  EXPECT_FALSE(forward.Mark(start));
  EXPECT_TRUE(forward.Mark(start + absl::Hours(1)));
  EXPECT_FALSE(forward.Mark(start)) << "too old to know, so not counted twice";
  EXPECT_EQ(forward.windows(), 31u);
}

TEST(ScoreTest, MoreEvidenceAndFewerNoveltiesSurpriseMore) {
  EXPECT_DOUBLE_EQ(SurpriseBits(0, 0), 1);
  EXPECT_DOUBLE_EQ(SurpriseBits(9362 * 2 - 2, 3), std::log2(9362 / 2.0));
  EXPECT_GT(SurpriseBits(1000, 3), SurpriseBits(100, 3));
  EXPECT_LT(SurpriseBits(1000, 30), SurpriseBits(1000, 3));
  EXPECT_NEAR(SurpriseBits(5, 50), SurpriseBits(5, 5), 1e-12) << "never below zero";
  EXPECT_GE(SurpriseBits(5, 50), 0);
}

}  // namespace
}  // namespace vedette
