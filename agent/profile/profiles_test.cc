// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(ProfilesTest, AClockThatIsSetDoesNotEndLearning) {
  ManualClock steady(absl::UnixEpoch());
  options_.steady = &steady;
  Reopen();
  Judge(events_.Exec("/bin/a"));
  Wait(absl::Hours(24 * 365));  // No clock in the machine: the network told the time.
  EXPECT_EQ(Judge(events_.Exec("/bin/b")).judgement, Judgement::kLearned);
  steady.Advance(absl::Minutes(5));
  EXPECT_EQ(profiles_->Show("host/web")->summary.watched, absl::Minutes(5));
  profiles_.reset();  // Before its clock.
  options_.steady = nullptr;
}

TEST_F(ProfilesTest, WhatWasDoneBeforeAFreezeIsLearnedThoughItIsJudgedAfterIt) {
  Judge(events_.Exec("/bin/a"));
  EnrichedEvent waits = events_.Exec("/bin/b");
  Wait(absl::Seconds(1));
  Freeze();
  EXPECT_EQ(Judge(waits).judgement, Judgement::kLearned);
  EXPECT_EQ(Judge(events_.Exec("/bin/b")).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Exec("/bin/c")).judgement, Judgement::kDeviation);
}

TEST_F(ProfilesTest, WhatWasDoneBeforeLearningEndedByItselfIsLearnedToo) {
  Judge(events_.Exec("/bin/a"));
  EnrichedEvent waits = events_.Exec("/bin/b");
  Wait(absl::Hours(24 * 30));
  profiles_->Tick();
  waits.event.header.time = events_.time - absl::Milliseconds(1);
  EXPECT_EQ(Judge(events_.Exec("/bin/c")).judgement, Judgement::kDeviation);
  EXPECT_EQ(Judge(waits).judgement, Judgement::kLearned);
}

TEST_F(ProfilesTest, AClockThatIsSetBackAfterAFreezeDoesNotBeginLearningAnew) {
  Judge(events_.Exec("/bin/a"));
  Freeze();
  Wait(absl::Minutes(2));
  events_.time -= absl::Hours(1);
  EXPECT_EQ(Judge(events_.Exec("/bin/b")).judgement, Judgement::kDeviation);
  Commit();
  Reopen();  // Nor does a restart.
  EXPECT_EQ(Judge(events_.Exec("/bin/c")).judgement, Judgement::kDeviation);
}

TEST_F(ProfilesTest, WhatHasNoKnownWorkloadIsNeitherLearnedNorJudged) {
  events_.workload = kUnattributed;
  const ScoredEvent scored = Judge(events_.Exec("/bin/a"));
  EXPECT_EQ(scored.judgement, Judgement::kNotABehaviour);
  EXPECT_EQ(scored.act.object, "/bin/a");  // Counted all the same.
  EXPECT_EQ(profiles_->size(), 0u);
  EXPECT_EQ(profiles_->ledger().emitted, 1u);
}

TEST_F(ProfilesTest, LearnsThenKnowsThenReportsWhatIsNew) {
  EXPECT_EQ(Judge(events_.Exec("/bin/a")).judgement, Judgement::kLearned);
  EXPECT_EQ(Judge(events_.Exec("/bin/a")).judgement, Judgement::kKnown);
  Wait(absl::Hours(24) - absl::Seconds(1));
  EXPECT_EQ(Judge(events_.Exec("/bin/b")).judgement, Judgement::kLearned);
  Wait(absl::Hours(6) - absl::Seconds(1));
  EXPECT_EQ(profiles_->List()[0].state, ProfileState::kLearning);
  EXPECT_EQ(profiles_->List()[0].state_text, "learning (29 h of 24 h, quiet 5 h of 6 h)");
  Wait(absl::Seconds(1));
  const ScoredEvent scored = Judge(events_.Exec("/bin/c"));
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_EQ(scored.state, ProfileState::kLearned);
  EXPECT_EQ(scored.state_text, "learned");
  EXPECT_EQ(scored.watched, absl::Hours(30) - absl::Seconds(1));
  EXPECT_EQ(profiles_->List()[0].progress, "29 h of 24 h, quiet 6 h of 6 h");
  EXPECT_GT(scored.score, 0);
  EXPECT_EQ(Judge(events_.Exec("/bin/b")).judgement, Judgement::kKnown);
  EXPECT_TRUE(profiles_->ledger().Balances());
}

TEST_F(ProfilesTest, ARepeatedDeviationIsTheSameOneAndIsCounted) {
  Judge(events_.Exec("/bin/a"));
  Freeze();
  const ScoredEvent first = Judge(events_.Exec("/bin/c", "c1"));
  const ScoredEvent again = Judge(events_.Exec("/bin/c", ""));
  EXPECT_EQ(again.judgement, Judgement::kDeviation);
  EXPECT_EQ(again.behaviour, first.behaviour);
  EXPECT_EQ(again.score, first.score);
  EXPECT_EQ(again.sentence, first.sentence);
  const ProfileDetail detail = profiles_->Show("host/web").value();
  ASSERT_EQ(detail.deviations.size(), 1u);
  EXPECT_EQ(detail.deviations[0].count, 2u);
  EXPECT_EQ(detail.behaviours.size(), 1u);
}

TEST_F(ProfilesTest, TheLastPartsOfANameAreEnoughWhereTheyAreOfOneWorkload) {
  for (const char* name : {"host/system.slice/a.service", "host/user.slice/a.service", "a.service",
                           "host/system.slice/b.service"}) {
    EnrichedEvent event = events_.Exec("/bin/a");
    event.workload.name = name;
    Judge(std::move(event));
  }
  EXPECT_EQ(profiles_->Show("b.service")->summary.workload, "host/system.slice/b.service");
  EXPECT_EQ(profiles_->Show("system.slice/a.service")->summary.workload,
            "host/system.slice/a.service");
  EXPECT_EQ(profiles_->Show("a.service")->summary.workload, "a.service") << "a whole name";
  EXPECT_TRUE(absl::IsNotFound(profiles_->Show("service").status())) << "not a whole part";
  EXPECT_TRUE(absl::IsNotFound(profiles_->Show("").status()));
  EXPECT_THAT(profiles_->Freeze({"b.service"}, "root").value(),
              ElementsAre("host/system.slice/b.service"));

  EnrichedEvent other = events_.Exec("/bin/a");
  other.workload.name = "host/user.slice/b.service";
  Judge(std::move(other));
  const absl::Status several = profiles_->Show("b.service").status();
  EXPECT_TRUE(absl::IsInvalidArgument(several)) << several;
  EXPECT_THAT(std::string(several.message()),
              testing::AllOf(testing::StartsWith("2 workloads have names that end in b.service, "),
                             testing::EndsWith("b.service: write the whole name")));
  EXPECT_TRUE(absl::IsInvalidArgument(profiles_->Freeze({"b.service"}, "root").status()));
}

TEST_F(ProfilesTest, FreezeEndsLearningAtOnceAndSurvivesARestart) {
  Judge(events_.Exec("/bin/a"));
  EXPECT_EQ(profiles_->List()[0].state_text, "learning (0 s of 24 h, quiet 0 s of 6 h)");
  EXPECT_EQ(profiles_->Freeze({"host/web", "host/none"}, "root").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(profiles_->List()[0].state, ProfileState::kLearning);
  EXPECT_THAT(profiles_->Freeze({"host/web"}, "al\nice").value(), ElementsAre("host/web"));
  EXPECT_THAT(profiles_->Freeze({"host/web"}, "bob").value(), ElementsAre());
  EXPECT_EQ(Judge(events_.Exec("/bin/c")).judgement, Judgement::kDeviation);
  Commit();
  Reopen();
  EXPECT_EQ(profiles_->List()[0].state_text, "frozen (by al\\x0aice)");
  EXPECT_EQ(Judge(events_.Exec("/bin/d")).judgement, Judgement::kDeviation);
}

TEST_F(ProfilesTest, AClockSetBackTakesNothingAway) {
  Judge(events_.Exec("/bin/a"));
  Wait(absl::Hours(10));
  EXPECT_EQ(profiles_->List()[0].watched, absl::Hours(10));
  clock_.Advance(absl::Hours(-100));
  EXPECT_EQ(profiles_->List()[0].watched, absl::Hours(10));
}

TEST_F(ProfilesTest, ANewRevisionIsNamedAndItsActsAreNotReportedOneByOne) {
  Judge(events_.Exec("/bin/tool", "1111"));
  Judge(events_.Connect("db.example", 5432));
  Freeze();
  const ScoredEvent revision = Judge(events_.Exec("/bin/tool", "2222"));
  EXPECT_EQ(revision.judgement, Judgement::kDeviation);
  EXPECT_TRUE(revision.new_revision);
  EXPECT_THAT(revision.sentence, HasSubstr("new revision of /bin/tool (SHA-256 2222…, known was "
                                           "1111…)"));
  // The acting program itself was replaced while nobody saw its start.
  events_.program_sha256 = "bb22";
  const ScoredEvent acts = Judge(events_.Connect("db.example", 5432));
  EXPECT_EQ(acts.judgement, Judgement::kDeviation);
  EXPECT_THAT(acts.sentence, HasSubstr("new revision of /usr/sbin/nginx (SHA-256 bb22…"));
  EXPECT_EQ(acts.behaviour.object, "/usr/sbin/nginx");
  EXPECT_EQ(Judge(events_.Exec("/bin/tool", "1111")).behaviour, acts.behaviour);
  EXPECT_EQ(profiles_->Show("host/web")->deviations.size(), 2u);
  // What it never did in any revision is a deviation of its own.
  EXPECT_EQ(Judge(events_.Connect("evil.example", 1)).behaviour.object, "dns:evil.example:1/tcp");
}

TEST_F(ProfilesTest, AProgramGoneBeforeItWasHashedDoesNotPassByItsPath) {
  Judge(events_.Exec("/bin/tool", "1111"));
  Judge(events_.Exec("/bin/tool", ""));  // Unread once while learning: no licence for later.
  Judge(events_.Exec("/bin/never-read", ""));
  Judge(events_.Connect("db.example", 5432));
  Freeze();
  const ScoredEvent gone = Judge(events_.Exec("/bin/tool", ""));
  EXPECT_EQ(gone.judgement, Judgement::kDeviation);
  EXPECT_TRUE(gone.new_revision);
  EXPECT_THAT(gone.sentence, HasSubstr("the content of /bin/tool could not be verified (SHA-256 "
                                       "known was 1111…)"));
  EXPECT_EQ(Judge(events_.Exec("/bin/tool", "")).sentence, gone.sentence) << "the same one";
  EXPECT_EQ(Judge(events_.Exec("/bin/never-read", "")).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Exec("/bin/tool", "1111")).judgement, Judgement::kKnown);
  events_.program_sha256 = "";
  const ScoredEvent acts = Judge(events_.Connect("db.example", 5432));
  EXPECT_EQ(acts.judgement, Judgement::kDeviation);
  EXPECT_THAT(acts.sentence, HasSubstr("the content of /usr/sbin/nginx could not be verified"));
  EXPECT_EQ(profiles_->Show("host/web")->deviations.size(), 2u);
}

TEST_F(ProfilesTest, ActsOfARevisionWhoseStartWasReportedJoinThatDeviation) {
  Judge(events_.Connect("db.example", 5432));
  TestEvents init = events_;
  init.program = "/sbin/init";
  Judge(init.Exec("/usr/sbin/nginx", "aa11"));
  Freeze();
  const ScoredEvent start = Judge(init.Exec("/usr/sbin/nginx", "bb22"));
  events_.program_sha256 = "bb22";
  EXPECT_EQ(Judge(events_.Connect("db.example", 5432)).behaviour, start.behaviour);
  EXPECT_EQ(profiles_->Show("host/web")->deviations.size(), 1u);
}

TEST_F(ProfilesTest, ALearnedRevisionMayDoWhatTheOtherOneDid) {
  Judge(events_.Connect("db.example", 5432));
  TestEvents init = events_;
  init.program = "/sbin/init";
  Judge(init.Exec("/usr/sbin/nginx", "bb22"));
  Freeze();
  events_.program_sha256 = "bb22";
  EXPECT_EQ(Judge(events_.Connect("db.example", 5432)).judgement, Judgement::kKnown);
}

TEST_F(ProfilesTest, TheSentenceComparesAndStatesItsEvidence) {
  for (const char* path : {"/usr/bin/cat", "/usr/bin/ls", "/usr/bin/cut", "/opt/x"}) {
    Judge(events_.Exec(path));
  }
  const CacheSlot slot{7, 1, 0, 1};
  Judge(events_.Exec("/opt/x", "", slot));
  for (int i = 0; i < 200; ++i) {
    Wait(absl::Minutes(8));
    profiles_->AddCounts(slot, {.hits = 3}, events_.time);
  }
  const ScoredEvent scored = Judge(events_.Exec("/usr/bin/curl"));
  EXPECT_EQ(scored.sentence,
            "host/web: /usr/sbin/nginx never started /usr/bin/curl: in 26 h and 201 active windows "
            "it started 4 programs (/usr/bin/cut, /usr/bin/cat, /usr/bin/ls, …); last new one "
            "26 h ago.");
  EXPECT_NEAR(scored.score, std::log2(203.0 / 2), 1e-9);
}

TEST_F(ProfilesTest, PrivilegedActsAreLearnedAndToldInWords) {
  Judge(events_.Module("loop"));
  Judge(events_.Signal(15, "host/db"));
  Judge(events_.Capability(0));
  Freeze();
  Wait(absl::Minutes(5));
  EXPECT_EQ(Judge(events_.Module("loop")).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Signal(15, "host/db")).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Capability(0)).judgement, Judgement::kKnown);
  EXPECT_THAT(Judge(events_.Module("dummy")).sentence,
              HasSubstr("host/web: /usr/sbin/nginx never loaded the kernel module dummy: in 5 min "
                        "and 2 active windows it loaded 1 kernel module (loop)"));
  EXPECT_THAT(
      Judge(events_.Signal(9, "host/db")).sentence,
      HasSubstr("/usr/sbin/nginx never sent SIGKILL to a process of host/db: in 5 min and 2 "
                "active windows it sent 1 signal (SIGTERM to a process of host/db)"));
  EXPECT_THAT(Judge(events_.IoUring()).sentence,
              HasSubstr("/usr/sbin/nginx never created an io_uring: in 5 min and 0 active windows "
                        "nothing in this workload did so"));
  EXPECT_THAT(Judge(events_.Capability(13)).sentence,
              HasSubstr("host/web: this workload never used CAP_NET_RAW: in 5 min and 2 active "
                        "windows it used 1 capability (CAP_CHOWN)"));
}

TEST_F(ProfilesTest, LittleEvidenceIsSaidToBeWeakAndScoresLow) {
  Judge(events_.Connect("db.example", 5432));
  Freeze();
  Wait(absl::Minutes(5));
  const ScoredEvent exec = Judge(events_.Exec("/bin/\xff"));
  EXPECT_THAT(exec.sentence, HasSubstr("never started /bin/\\xff: in 5 min and 0 active windows "
                                       "nothing in this workload did so. The evidence is weak"));
  EXPECT_DOUBLE_EQ(exec.score, 1);
  events_.program = "/bin/other";
  const ScoredEvent connect = Judge(events_.Connect("evil.example", 1));
  EXPECT_THAT(connect.sentence, HasSubstr("the other programs of this workload connected to 1 peer "
                                          "(dns:db.example:5432/tcp)"));
}

TEST_F(ProfilesTest, KernelCountsGoToTheBehaviourOfTheirSlot) {
  const CacheSlot known{7, 1, 1, 3}, deviating{7, 1, 1, 4}, other{7, 1, 1, 5};
  Judge(events_.Connect("db.example", 5432, known));
  Freeze();
  Judge(events_.Connect("evil.example", 1, deviating));
  EXPECT_FALSE(profiles_->AddCounts(known, {100, 2, 3000, 4000}, events_.time));
  const auto growth = profiles_->AddCounts(deviating, {.hits = 9}, events_.time);
  ASSERT_TRUE(growth);
  EXPECT_EQ(growth->workload, "host/web");
  EXPECT_EQ(growth->behaviour.object, "dns:evil.example:1/tcp");
  EXPECT_EQ(growth->hits, 9u);
  EXPECT_FALSE(profiles_->AddCounts(other, {.hits = 5}, events_.time));
  EXPECT_EQ(profiles_->counters().unbound_hits, 5u);
  const ProfileDetail detail = profiles_->Show("host/web").value();
  EXPECT_EQ(detail.behaviours[0].count, 101u);
  EXPECT_EQ(detail.behaviours[0].failures, 2u);
  EXPECT_EQ(detail.behaviours[0].sent_bytes, 3000u);
  EXPECT_EQ(detail.behaviours[0].received_bytes, 4000u);
  EXPECT_EQ(detail.deviations[0].count, 10u);

  profiles_->ForgetSlots(7, 2);
  EXPECT_FALSE(profiles_->AddCounts(deviating, {.hits = 1}, events_.time));
  EXPECT_EQ(profiles_->counters().unbound_hits, 6u);
  EXPECT_TRUE(profiles_->BindSlot({7, 2, 1, 1}, "host/web", detail.behaviours[0].behaviour));
  EXPECT_FALSE(profiles_->BindSlot({7, 2, 1, 2}, "host/web", Behaviour()));
  profiles_->AddCounts({7, 2, 1, 1}, {.hits = 1}, events_.time);
  EXPECT_EQ(profiles_->Show("host/web")->behaviours[0].count, 102u);
}

TEST_F(ProfilesTest, EventsThatAreNoBehaviourPassThrough) {
  EXPECT_EQ(Judge(events_.With(OverflowEvent())).judgement, Judgement::kNotABehaviour);
  EXPECT_EQ(Judge(events_.With(MoveEvent())).judgement, Judgement::kNotABehaviour);
  events_.workload = "";
  EXPECT_EQ(Judge(events_.Exec("/bin/a")).judgement, Judgement::kNotABehaviour);
  EXPECT_TRUE(profiles_->List().empty());
  EXPECT_EQ(profiles_->ledger().received, 3u);
  EXPECT_EQ(profiles_->ledger().emitted, 3u);
}

TEST_F(ProfilesTest, FullBoundsAreCountedByReasonAndTheLedgerBalances) {
  options_.max_workloads = 2;
  options_.max_behaviours = 3;
  options_.max_deviations = 2;
  options_.max_slots = 4;
  Reopen();
  uint64_t to_correlate = 0;
  for (const char* workload : {"host/web", "host/b", "host/c"}) {
    events_.workload = workload;
    for (uint32_t i = 0; i < 5; ++i) {
      const auto scored = Judge(events_.Exec("/bin/" + std::to_string(i), "", {7, 1, 0, i + 1}));
      to_correlate += scored.no_room ? 0 : 1;
    }
  }
  EXPECT_EQ(profiles_->ledger().received, 15u);
  EXPECT_EQ(profiles_->ledger().emitted, to_correlate);
  EXPECT_EQ(profiles_->ledger().emitted, 6u);
  EXPECT_EQ(profiles_->ledger().DroppedFor(kDropWorkloadsFull), 5u);
  EXPECT_EQ(profiles_->ledger().DroppedFor(kDropBehavioursFull), 4u);
  EXPECT_TRUE(profiles_->ledger().Balances());
  EXPECT_TRUE(profiles_->List()[0].channels[0].cut);

  Freeze();
  events_.workload = "host/web";
  for (uint32_t i = 0; i < 5; ++i) {
    const ScoredEvent scored =
        Judge(events_.Exec("/new/" + std::to_string(i), "", {8, 1, 0, i + 1}));
    EXPECT_EQ(scored.judgement, Judgement::kDeviation);
    EXPECT_EQ(scored.behaviour.object == "(more than 2 deviations)", i >= 2) << i;
    EXPECT_THAT(scored.sentence, i < 2 ? HasSubstr("not complete") : HasSubstr("more than 2"));
  }
  const ProfileDetail detail = profiles_->Show("host/web").value();
  ASSERT_EQ(detail.deviations.size(), 3u);
  EXPECT_EQ(detail.deviations[0].count, 3u);
  EXPECT_EQ(profiles_->counters().deviations_folded, 3u);
  EXPECT_EQ(profiles_->counters().slots_full, 4u);
  EXPECT_TRUE(profiles_->ledger().Balances());
  Commit();
  const std::string dump = Dump();
  Reopen();
  EXPECT_EQ(Dump(), dump);
}

TEST_F(ProfilesTest, TheOrderOfWhatIsLearnedDoesNotChangeTheProfile) {
  std::mt19937 random(20240101);
  std::vector<EnrichedEvent> events;
  const char* const kHashes[] = {"", "h1", "h2"};
  for (int i = 0; i < 1000; ++i) {
    TestEvents maker = events_;
    maker.time += absl::Milliseconds(random() % 600'000);
    maker.container_id = "c" + std::to_string(random() % 24);
    maker.program_sha256 = kHashes[random() % 3];
    const std::string name = "/bin/\xfe" + std::to_string(random() % 3);
    events.push_back(random() % 2 != 0 ? maker.Exec(name, kHashes[random() % 3])
                                       : maker.Connect(name, random() % 4));
  }
  std::string expected;
  for (int round = 0; round < 20; ++round) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    Reopen();
    for (const EnrichedEvent& event : events) {
      Judge(event);
    }
    const std::string dump = Dump();
    if (round == 0) {
      expected = dump;
      EXPECT_THAT(dump, HasSubstr("\"sources_cut\":true"));
      EXPECT_THAT(dump, HasSubstr("\"sources_cut\":false"));
    }
    ASSERT_EQ(dump, expected) << "round " << round;
    std::shuffle(events.begin(), events.end(), random);
  }
}

TEST_F(ProfilesTest, JsonIsValidWhateverTheBytes) {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string path;
    for (int n = random() % 20; n > 0; --n) {
      path.push_back(static_cast<char>(random()));
    }
    events_.program = path;
    events_.container_id = path;
    std::erase(events_.container_id, '\0');
    Judge(events_.Exec(path + "x", path));
    if (i == 100) {
      Freeze();
    }
  }
  const std::string text = Dump();  // Throws where a string is not UTF-8.
  EXPECT_TRUE(nlohmann::json::accept(text));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  Commit();
  Reopen();
  EXPECT_EQ(Dump(), text);
}

}  // namespace
}  // namespace vedette
