// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/correlator.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "agent/correlate/correlator_fixture.h"
#include "agent/correlate/finding_of.h"

namespace vedette {
namespace {

using testing::HasSubstr;

TEST_F(CorrelatorTest, OneFindingPerDeviationAndRepeatsAreCounted) {
  const auto first = Send(events_.Exec("/bin/new"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->change, Finding::Change::kCreated);
  EXPECT_EQ(first->count, 1u);
  EXPECT_FALSE(Send(events_.Exec("/bin/known")));
  Wait(absl::Seconds(10));
  EXPECT_FALSE(Send(events_.Exec("/bin/new")));
  EXPECT_FALSE(Send(events_.Exec("/bin/new")));
  EXPECT_TRUE(Due().empty()) << "at most once in five minutes";
  Commit();
  const Finding stored = correlator_->Show(first->uid).value();
  EXPECT_EQ(stored.count, 3u) << "the store is exact at once";
  EXPECT_EQ(stored.last_seen, events_.time);
  EXPECT_EQ(stored.first_seen, first->first_seen);

  Wait(absl::Seconds(290));
  const std::vector<Finding> due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].change, Finding::Change::kUpdated);
  EXPECT_EQ(due[0].uid, first->uid);
  EXPECT_EQ(due[0].count, 3u);
  EXPECT_EQ(due[0].sentence, first->sentence);
  EXPECT_TRUE(Due().empty());
  Send(events_.Exec("/bin/new"));
  EXPECT_TRUE(Due().empty());
  EXPECT_EQ(correlator_->ledger().received, 6u);
  EXPECT_TRUE(correlator_->ledger().Balances());
  EXPECT_EQ(correlator_->ledger().DroppedFor(kDropRepeat), 3u);
  EXPECT_EQ(correlator_->ledger().DroppedFor(kDropNoFinding), 2u);
}

TEST_F(CorrelatorTest, KernelCountsRaiseTheFindingOfTheirDeviation) {
  const CacheSlot slot{7, 1, 1, 9};
  const auto first = Send(events_.Connect("evil.example", 443, slot));
  ASSERT_TRUE(first);
  const auto growth = profiles_->AddCounts(slot, {.hits = 41}, events_.time);
  ASSERT_TRUE(growth);
  correlator_->Grow(*growth);
  Commit();
  EXPECT_EQ(correlator_->Show(first->uid)->count, 42u);
}

TEST_F(CorrelatorTest, ADeviationThatGoesOnAfterItsFindingLeftTheStoreIsToldAnew) {
  const CacheSlot slot{7, 1, 1, 9};
  const auto first = Send(events_.Connect("evil.example", 443, slot));
  ASSERT_TRUE(first);
  Commit();
  Wait(absl::Hours(1));
  ASSERT_EQ(correlator_->ForgetLeast(10).value(), 1u);
  Commit();
  ASSERT_FALSE(correlator_->Show(first->uid).ok());

  for (int i = 0; i < 2; ++i) {
    const auto growth = profiles_->AddCounts(slot, {.hits = 41}, events_.time);
    ASSERT_TRUE(growth);
    correlator_->Grow(*growth);
  }
  const std::vector<Finding> due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].uid, first->uid);
  EXPECT_EQ(due[0].change, Finding::Change::kCreated);
  EXPECT_EQ(due[0].count, 82u);
  EXPECT_EQ(due[0].title, first->title);
  EXPECT_THAT(due[0].sentence, HasSubstr("goes on whose finding has left the store"));
  Commit();
  EXPECT_EQ(correlator_->Show(first->uid)->count, 82u);
  EXPECT_EQ(correlator_->begun_anew(), 1u);
  EXPECT_TRUE(Due().empty());
}

TEST_F(CorrelatorTest, ARestartKeepsFindingsCountsAndWhatIsStillDue) {
  const auto first = Send(events_.Exec("/bin/\xff\n"));
  Send(events_.Exec("/bin/\xff\n"));
  Commit();
  Reopen();
  EXPECT_TRUE(Due().empty());
  EXPECT_FALSE(Send(events_.Exec("/bin/\xff\n"))) << "still the same finding";
  Wait(kUpdateInterval);
  std::vector<Finding> due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].count, 3u);
  EXPECT_EQ(due[0].uid, first->uid);
  EXPECT_EQ(due[0].process.code.path, "/bin/\xff\n");
  EXPECT_EQ(due[0].ancestors.size(), 1u);
  Commit();
  Reopen();
  Wait(kUpdateInterval);
  EXPECT_TRUE(Due().empty()) << "given out before the restart";
}

TEST_F(CorrelatorTest, WhatWasRolledBackIsWrittenTheNextTime) {
  const auto first = Send(events_.Exec("/bin/new"));
  ASSERT_TRUE(db_->Begin().ok());
  ASSERT_TRUE(correlator_->Write().ok());
  db_->Rollback();
  EXPECT_EQ(correlator_->Show(first->uid).status().code(), absl::StatusCode::kNotFound);
  Send(events_.Exec("/bin/new"));
  Wait(kUpdateInterval);
  ASSERT_EQ(Due().size(), 1u) << "a finding that is not stored yet can be given out again";
  Commit();
  EXPECT_EQ(correlator_->Show(first->uid)->count, 2u);
}

TEST_F(CorrelatorTest, ListsByWorkloadSeverityAndTimeNewestFirst) {
  Send(events_.Exec("/bin/one"));
  Wait(absl::Seconds(30));
  Send(events_.Connect("evil.example", 1));
  Wait(absl::Seconds(30));
  EnrichedEvent overflow = events_.With(OverflowEvent{7, 1, 0, 10, 0});
  overflow.workload.name = "host/other";
  Send(std::move(overflow));
  Commit();
  const auto titles = [&](const FindingFilter& filter) {
    std::vector<std::string> list;
    const std::vector<Finding> findings = correlator_->List(filter).value();
    for (const Finding& f : findings) {
      list.push_back(f.title);
    }
    return list;
  };
  EXPECT_THAT(titles({}), testing::ElementsAre(HasSubstr("host/other"), HasSubstr("evil.example"),
                                               HasSubstr("/bin/one")));
  EXPECT_THAT(titles({.workload = "host/web"}), testing::SizeIs(2));
  EXPECT_THAT(titles({.min_severity = Severity::kMedium}),
              testing::ElementsAre(HasSubstr("host/other")));
  EXPECT_THAT(titles({.since = events_.time - absl::Seconds(30)}), testing::SizeIs(2));
  EXPECT_THAT(titles({.limit = 1}), testing::SizeIs(1));
  EXPECT_THAT(std::string(correlator_->Show("no\nsuch").status().message()),
              HasSubstr("no finding has the id no\\x0asuch"));
}

TEST_F(CorrelatorTest, TheBeginningOfAnIdIsEnoughWhereItIsOfOneFinding) {
  constexpr size_t kShared = 4;
  options_.per_hour = 1000;
  Reopen();
  std::set<std::string> uids;
  for (int i = 0; i < 200; ++i) {
    uids.insert(Send(events_.Exec(fmt::format("/bin/p{}", i))).value().uid);
    uids.insert(Send(events_.Connect(fmt::format("p{}.example", i), 1)).value().uid);
    uids.insert(Send(events_.Module(fmt::format("p{}", i))).value().uid);
  }
  Commit();
  const auto same = [&](const std::string& left, const std::string& right) {
    return left.substr(0, kShared) == right.substr(0, kShared);
  };
  const auto pair = std::adjacent_find(uids.begin(), uids.end(), same);
  ASSERT_NE(pair, uids.end()) << "ids follow from what was found: these are so every time";
  const std::string& uid = *pair;
  EXPECT_EQ(correlator_->FullUid(uid).value(), uid);
  EXPECT_EQ(correlator_->FullUid(uid.substr(0, 13)).value(), uid);
  const absl::Status several = correlator_->FullUid(uid.substr(0, kShared)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(several)) << several;
  EXPECT_EQ(several.message(), "several findings have an id that begins with " +
                                   uid.substr(0, kShared) + ": write more of it");
  for (const std::string& none : {std::string(), uid.substr(0, 3), std::string("no\nsuch")}) {
    EXPECT_EQ(correlator_->FullUid(none).value(), none);
  }
}

TEST_F(CorrelatorTest, AtTheBoundTheOldestGoAndAreCounted) {
  options_.max_findings = 10;
  Reopen();
  const uint64_t sent = 25;
  std::string first_uid;
  for (uint64_t i = 0; i < sent; ++i) {
    Wait(absl::Seconds(1));
    const auto finding = Send(events_.Exec("/new/" + std::to_string(i)));
    ASSERT_TRUE(finding);
    first_uid = first_uid.empty() ? finding->uid : first_uid;
    if (i % 2 == 0) {
      Commit();
    }
  }
  Commit();
  EXPECT_EQ(correlator_->size(), 10u);
  EXPECT_EQ(correlator_->evicted(), sent - 10);
  const auto list = correlator_->List({});
  ASSERT_EQ(list->size(), 10u);
  EXPECT_THAT(list->front().title, HasSubstr("/new/24"));
  EXPECT_THAT(list->back().title, HasSubstr("/new/15"));
  EXPECT_TRUE(correlator_->ledger().Balances());
  const auto again = Send(events_.Exec("/new/0"));
  ASSERT_TRUE(again) << "forgotten, so told again";
  EXPECT_EQ(again->uid, first_uid);
}

TEST_F(CorrelatorTest, AClockSetBackDoesNotSilenceUpdates) {
  Send(events_.Exec("/bin/new"));
  Send(events_.Exec("/bin/new"));
  clock_.Advance(absl::Hours(-5));
  EXPECT_EQ(Due().size(), 1u);
}

TEST_F(CorrelatorTest, ADamagedStoreIsDataLossAndNamed) {
  const auto finding = Send(events_.Exec("/bin/new"));
  Commit();
  ASSERT_TRUE(db_->Exec("UPDATE finding SET body = x'00ff'").ok());
  EXPECT_EQ(correlator_->Show(finding->uid).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(correlator_->List({}).status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(db_->Exec("UPDATE finding SET emitted_count = 9").ok());
  const auto loaded = Correlator::Load(db_.get(), &clock_, options_);
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("vedette.db"));
  ASSERT_TRUE(db_->Exec("UPDATE finding_meta SET value = 99").ok());
  EXPECT_EQ(Correlator::Load(db_.get(), &clock_, options_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

std::string Program(int number) { return "/bin/new-" + std::to_string(number); }

TEST_F(CorrelatorTest, BeyondTheBoundOfTheHourOneFindingStandsForTheRest) {
  options_.per_hour = 3;
  Reopen();
  for (int i = 0; i < 3; ++i) {
    const auto sent = Send(events_.Exec(Program(i)));
    ASSERT_TRUE(sent);
    EXPECT_EQ(sent->kind, Finding::Kind::kDeviation);
  }
  const auto first = Send(events_.Exec(Program(3)));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kind, Finding::Kind::kHeldBack);
  EXPECT_EQ(first->count, 1u);
  EXPECT_THAT(first->title, HasSubstr("More than 3 new findings"));
  for (int i = 4; i < 10; ++i) {
    EXPECT_FALSE(Send(events_.Exec(Program(i))));
  }
  EXPECT_EQ(correlator_->ledger().dropped.at(std::string(kDropHeldBack)), 6u);
  EXPECT_EQ(correlator_->ledger().received,
            correlator_->ledger().emitted + 6 + correlator_->ledger().dropped.count("repeat"));
  Commit();
  EXPECT_EQ(correlator_->List({}).value().size(), 11u) << "all are in the store";

  Wait(kUpdateInterval);
  const std::vector<Finding> due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].uid, first->uid);
  EXPECT_EQ(due[0].count, 7u);

  Wait(absl::Hours(1));
  EXPECT_TRUE(Send(events_.Exec("/bin/in-the-next-hour")));
}

TEST_F(CorrelatorTest, WhatWasHeldBackGoesOutWhenItComesAgainAndThereIsRoom) {
  options_.per_hour = 1;
  Reopen();
  ASSERT_TRUE(Send(events_.Exec(Program(0))));
  ASSERT_TRUE(Send(events_.Exec(Program(1))));  // The one that stands for it.
  Commit();
  Reopen();
  ASSERT_TRUE(Send(events_.Exec(Program(2))));  // Uses the room of the restarted agent up.
  EXPECT_FALSE(Send(events_.Exec(Program(1))));
  Wait(kUpdateInterval);
  EXPECT_TRUE(Due().empty());

  Wait(absl::Hours(1));
  EXPECT_FALSE(Send(events_.Exec(Program(1))));
  const std::vector<Finding> due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].behaviour.object, Program(1));
  EXPECT_EQ(due[0].change, Finding::Change::kCreated);
  EXPECT_EQ(due[0].count, 3u);
  Commit();
  Wait(kUpdateInterval);
  EXPECT_TRUE(Due().empty());
}

TEST(HourlyBoundTest, AFloodOfSmallFindingsLeavesRoomForAGraveOne) {
  HourlyBound bound(2);
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  EXPECT_TRUE(bound.Take("a", Severity::kLow, now));
  EXPECT_TRUE(bound.Take("a", Severity::kMedium, now));
  EXPECT_FALSE(bound.Take("a", Severity::kLow, now));
  EXPECT_TRUE(bound.Take("a", Severity::kHigh, now));
  EXPECT_TRUE(bound.Take("b", Severity::kLow, now));
  EXPECT_TRUE(bound.Take("a", Severity::kLow, now + absl::Hours(1)));
}

TEST_F(CorrelatorTest, AnUpdateHasTheWholeStory) {
  EnrichedEvent exec = events_.Exec("/bin/a");
  exec.process.credentials = {33, 34, 0, 34, 0, 1};
  exec.process.argv_truncated = true;
  ASSERT_TRUE(Send(exec));
  Wait(kUpdateInterval);
  Send(exec);
  const Updates updates = correlator_->DueUpdates();
  ASSERT_EQ(updates.findings.size(), 1u);
  EXPECT_EQ(updates.findings[0].process.credentials, exec.process.credentials);
  EXPECT_TRUE(updates.findings[0].process.argv_truncated);
}

TEST_F(CorrelatorTest, AFindingThatCannotBeReadKeepsNoOtherFromGoingOut) {
  for (const char* path : {"/bin/a", "/bin/b", "/bin/c"}) {
    ASSERT_TRUE(Send(events_.Exec(path)));
  }
  Commit();
  ASSERT_TRUE(db_->Exec("UPDATE finding SET body = x'00' WHERE uid = "
                        "(SELECT min(uid) FROM finding)")
                  .ok());
  Wait(kUpdateInterval);
  for (const char* path : {"/bin/a", "/bin/b", "/bin/c"}) {
    Send(events_.Exec(path));
  }
  const Updates updates = correlator_->DueUpdates();
  EXPECT_EQ(updates.findings.size(), 2u);
  EXPECT_EQ(updates.failed, 1u);
  EXPECT_TRUE(absl::IsDataLoss(updates.status)) << updates.status;
  // Nor is it asked for again and again.
  const Updates next = correlator_->DueUpdates();
  EXPECT_TRUE(next.status.ok() && next.findings.empty());
  Wait(kUpdateInterval);
  EXPECT_EQ(correlator_->DueUpdates().failed, 1u);
}

}  // namespace
}  // namespace vedette
