// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>

#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

constexpr char kShape[] = "/tmp/request-*.tmp";

class FilesOfProfilesTest : public ProfilesTest {
 protected:
  EnrichedEvent Request(int number, CacheSlot slot = {}) const {
    return events_.File(FileVerb::kCreate, fmt::format("/tmp/request-{}.tmp", number), kShape,
                        slot);
  }
  void Learn(int from, int to) {
    for (int i = from; i <= to; ++i) {
      Judge(Request(i));
    }
  }
  std::vector<std::string> Objects() const {
    std::vector<std::string> objects;
    const ProfileDetail detail = profiles_->Show("host/web").value();
    for (const BehaviourRecord& record : detail.behaviours) {
      objects.push_back(record.behaviour.object);
    }
    return objects;
  }
  uint64_t CountOf(const std::string& object) const {
    const ProfileDetail detail = profiles_->Show("host/web").value();
    for (const BehaviourRecord& record : detail.behaviours) {
      if (record.behaviour.object == object) {
        return record.count;
      }
    }
    return 0;
  }
};

using Strings = std::vector<std::string>;

TEST_F(FilesOfProfilesTest, TwoNamesStandForThemselves) {
  Learn(1, 2);
  EXPECT_EQ(Objects(), (Strings{"create /tmp/request-1.tmp", "create /tmp/request-2.tmp"}));
  // However often.
  Learn(1, 2);
  EXPECT_EQ(Objects().size(), 2u);
}

TEST_F(FilesOfProfilesTest, ThreeNamesOfAShapeBecomeOneBehaviourWithAllTheirCounts) {
  Learn(1, 2);
  ScoredEvent third = Judge(Request(3));
  EXPECT_EQ(third.judgement, Judgement::kLearned);
  EXPECT_TRUE(IsOfManyFiles(third.behaviour));
  EXPECT_EQ(third.act.object, "create /tmp/request-*.tmp");
  EXPECT_EQ(Objects(), Strings{"create /tmp/request-*.tmp"});
  EXPECT_EQ(CountOf("create /tmp/request-*.tmp"), 3u);
  EXPECT_EQ(Judge(Request(4)).judgement, Judgement::kKnown);
  EXPECT_EQ(CountOf("create /tmp/request-*.tmp"), 4u);
  Commit();
  Reopen();
  EXPECT_EQ(Objects(), Strings{"create /tmp/request-*.tmp"});
  EXPECT_EQ(CountOf("create /tmp/request-*.tmp"), 4u);
}

TEST_F(FilesOfProfilesTest, WhatWasInTheStoreAlreadyComesOutOfIt) {
  Learn(1, 2);
  Commit();
  Judge(Request(3));
  // A commit that failed is repeated.
  ASSERT_TRUE(db_->Begin().ok());
  ASSERT_TRUE(profiles_->Write().ok());
  db_->Rollback();
  Commit();
  Reopen();
  EXPECT_EQ(Objects(), Strings{"create /tmp/request-*.tmp"});
}

TEST_F(FilesOfProfilesTest, EightNamesThatAreLikelyToDifferBecomeOneBehaviour) {
  events_.names_differ = NamesDiffer::kLikely;
  Learn(1, 7);
  EXPECT_EQ(Objects().size(), 7u);
  // One that says nothing does not count, and becomes part of it.
  events_.names_differ = NamesDiffer::kUnsure;
  Learn(8, 20);
  EXPECT_EQ(Objects().size(), 20u);
  events_.names_differ = NamesDiffer::kLikely;
  Learn(21, 21);
  EXPECT_EQ(Objects(), Strings{"create /tmp/request-*.tmp"});
  EXPECT_EQ(CountOf("create /tmp/request-*.tmp"), 21u);
}

TEST_F(FilesOfProfilesTest, NamesThatSayNothingNeverBecomeOne) {
  events_.names_differ = NamesDiffer::kUnsure;
  Learn(1, 100);
  EXPECT_EQ(Objects().size(), 100u);
}

// Names of any kind, in two directories and by two programs, some more than once.
TEST_F(FilesOfProfilesTest, TheSameActsInAnotherOrderGiveTheSameProfile) {
  struct Act {
    std::string program, path, shape;
    NamesDiffer differ;
  };
  std::vector<Act> acts;
  for (const char* program : {"/usr/sbin/nginx", "/usr/bin/curl"}) {
    for (int i = 0; i < 12; ++i) {
      const NamesDiffer differ = static_cast<NamesDiffer>(i % 3);
      for (const int count : {i, i + 7}) {  // Some names come twice.
        acts.push_back({program, fmt::format("/tmp/n{}", count), "/tmp/n*", NamesDiffer::kSurely});
      }
      acts.push_back({program, fmt::format("/srv/q{}/x", i), "/srv/q*/x", differ});
      acts.push_back({program, fmt::format("/srv/word{}", i), "", NamesDiffer::kUnsure});
    }
    acts.push_back({program, "/tmp/a1", "/tmp/a*", NamesDiffer::kSurely});
    acts.push_back({program, "/tmp/a2", "/tmp/a*", NamesDiffer::kSurely});
  }
  std::mt19937 random(3);
  std::map<std::string, uint64_t> first;
  for (int round = 0; round < 50; ++round) {
    const std::string workload = fmt::format("host/web{}", round);
    events_.workload = workload;
    for (const Act& act : acts) {
      events_.program = act.program;
      events_.names_differ = act.differ;
      Judge(events_.File(FileVerb::kCreate, act.path, act.shape));
    }
    std::map<std::string, uint64_t> counts;
    const ProfileDetail detail = profiles_->Show(workload).value();
    for (const BehaviourRecord& record : detail.behaviours) {
      counts[record.behaviour.subject + " " + record.behaviour.object] = record.count;
    }
    if (round == 0) {
      first = counts;
      EXPECT_EQ(first.at("/usr/bin/curl create /tmp/n*"), 24u);
    }
    EXPECT_EQ(counts, first) << round;
    std::shuffle(acts.begin(), acts.end(), random);
  }
}

TEST_F(FilesOfProfilesTest, NoClassStandsForASensitiveName) {
  options_.sensitive = {"/tmp/request-77.tmp", "/tmp/request-*.tmp"};
  Reopen();
  Learn(1, 9);
  EXPECT_EQ(Objects().size(), 9u);
}

TEST_F(FilesOfProfilesTest, CountsOfTheKernelGoOnInTheOneBehaviour) {
  const CacheSlot first = {7, 1, 2, 4}, second = {7, 1, 2, 8};
  Judge(Request(1, first));
  Judge(Request(2, second));
  Judge(Request(3));
  EXPECT_FALSE(profiles_->AddCounts(first, {.hits = 10}, events_.time));
  EXPECT_FALSE(profiles_->AddCounts(second, {.hits = 100}, events_.time));
  EXPECT_EQ(CountOf("create /tmp/request-*.tmp"), 113u);
  EXPECT_EQ(profiles_->counters().unbound_hits, 0u);
}

TEST_F(FilesOfProfilesTest, AnEntryThatWasBoundByItsNameIsFoundAgain) {
  Learn(1, 3);
  Commit();
  Reopen();
  Behaviour one = {
      Channel::kFile, events_.program, events_.program_sha256, "create /tmp/request-1.tmp", "", ""};
  EXPECT_TRUE(profiles_->BindSlot({7, 1, 2, 4}, "host/web", one));
  one.object = "create /tmp/other-1.tmp";
  EXPECT_FALSE(profiles_->BindSlot({7, 1, 2, 8}, "host/web", one));
}

TEST_F(FilesOfProfilesTest, AfterLearningNothingMoreIsGeneralised) {
  Learn(1, 2);
  Freeze();
  for (int i = 3; i <= 9; ++i) {
    ScoredEvent scored = Judge(Request(i));
    EXPECT_EQ(scored.judgement, Judgement::kDeviation) << i;
    EXPECT_EQ(scored.behaviour.object, fmt::format("create /tmp/request-{}.tmp", i));
  }
  EXPECT_EQ(Objects().size(), 2u);
}

TEST_F(FilesOfProfilesTest, WhatWasGeneralisedHoldsAfterLearning) {
  Learn(1, 3);
  Freeze();
  EXPECT_EQ(Judge(Request(99)).judgement, Judgement::kKnown);
  // Not for what no class may stand for: a link, a mount, a file of others.
  EXPECT_EQ(Judge(events_.File(FileVerb::kCreate, "/tmp/request-5.tmp")).judgement,
            Judgement::kDeviation);
  EXPECT_EQ(Judge(events_.File(FileVerb::kWrite, "/tmp/request-6.tmp", kShape)).judgement,
            Judgement::kDeviation)
      << "another verb";
  events_.program = "/usr/bin/curl";
  EXPECT_EQ(Judge(Request(100)).judgement, Judgement::kDeviation) << "another program";
}

TEST_F(FilesOfProfilesTest, AnotherShapeOrProgramCountsForItself) {
  Judge(Request(1));
  Judge(Request(2));
  Judge(events_.File(FileVerb::kCreate, "/tmp/other-3.tmp", "/tmp/other-*.tmp"));
  Judge(events_.File(FileVerb::kWrite, "/tmp/request-3.tmp", kShape));
  Judge(events_.File(FileVerb::kCreate, "/srv/request-3.tmp", "/srv/request-*.tmp"));
  events_.program = "/usr/bin/curl";
  Judge(Request(3));
  for (const std::string& object : Objects()) {
    EXPECT_EQ(object.find('*'), object.npos) << object;
  }
}

TEST_F(FilesOfProfilesTest, ANameThatLooksLikeAShapeIsNone) {
  // A file that is called so, literally.
  Judge(events_.File(FileVerb::kCreate, kShape));
  Freeze();
  EXPECT_EQ(Judge(Request(1)).judgement, Judgement::kDeviation);
}

TEST_F(FilesOfProfilesTest, SensitiveNamesStandForThemselves) {
  options_.sensitive = {"/tmp", ".ssh"};
  Reopen();
  Learn(1, 9);
  EXPECT_EQ(Objects().size(), 9u);
  for (int i = 0; i < 5; ++i) {
    Judge(events_.File(FileVerb::kWrite, fmt::format("/home/ann/.ssh/id-{}", i),
                       "/home/ann/.ssh/id-*"));
  }
  EXPECT_EQ(Objects().size(), 14u);
}

TEST_F(FilesOfProfilesTest, ExecutionsAreNeverGeneralised) {
  for (int i = 1; i <= 9; ++i) {
    Judge(events_.Exec(fmt::format("/tmp/request-{}.tmp", i), "ab"));
  }
  EXPECT_EQ(Objects().size(), 9u);
  Learn(1, 3);
  Freeze();
  EXPECT_EQ(Judge(events_.Exec("/tmp/request-10.tmp", "ab")).judgement, Judgement::kDeviation);
}

TEST_F(FilesOfProfilesTest, AFindingSaysWhatWasDone) {
  Judge(events_.File(FileVerb::kWrite, "/var/log/web.log"));
  Freeze();
  ScoredEvent scored = Judge(events_.File(FileVerb::kCreate, "/etc/cron.d/x"));
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_NE(scored.sentence.find("/usr/sbin/nginx never was seen to create /etc/cron.d/x"),
            std::string::npos)
      << scored.sentence;
  EXPECT_NE(scored.sentence.find("it was seen in 1 act on files (write /var/log/web.log)"),
            std::string::npos)
      << scored.sentence;
}

TEST_F(FilesOfProfilesTest, AProgramThatWasReplacedIsOneDeviation) {
  Learn(1, 3);
  Freeze();
  events_.program_sha256 = "bb22";
  ScoredEvent scored = Judge(Request(4));
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_TRUE(scored.new_revision);
  EXPECT_EQ(scored.behaviour.object, "/usr/sbin/nginx");
}

}  // namespace
}  // namespace vedette
