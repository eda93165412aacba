// SPDX-License-Identifier: Apache-2.0
// Findings that a person dismissed or restored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/correlate/correlator_fixture.h"
#include "agent/correlate/finding_json.h"

namespace vedette {
namespace {

using testing::HasSubstr;

class CorrelatorStatusTest : public CorrelatorTest {
 protected:
  std::optional<Finding> Set(const Finding& finding, bool dismissed) {
    std::optional<Dismissal> dismissal;
    if (dismissed) {
      dismissal = Dismissal{finding.uid, "root", 0, clock_.Now(), "ours"};
      EXPECT_TRUE(profiles_->Dismiss(finding.workload.name, finding.behaviour, *dismissal).ok());
    } else {
      EXPECT_TRUE(profiles_->Restore(finding.uid).ok());
    }
    auto told = correlator_->SetDismissal(finding.uid, dismissal, {"root", clock_.Now()});
    EXPECT_TRUE(told.ok()) << told.status();
    Commit();
    return told.ok() ? *told : std::nullopt;
  }
  size_t Listed(std::optional<bool> dismissed) {
    return correlator_->List({.dismissed = dismissed})->size();
  }
};

TEST_F(CorrelatorStatusTest, ADismissalIsToldOnceAndOutlivesARestart) {
  const Finding finding = *Send(events_.Exec("/bin/new"));
  Send(events_.Exec("/bin/other"));
  Send(events_.Exec("/bin/new"));
  Commit();
  const auto told = Set(finding, true);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->change, Finding::Change::kUpdated);
  EXPECT_EQ(told->count, 2u) << "what grew goes with it";
  EXPECT_EQ(told->status_changes, 1u);
  EXPECT_EQ(told->dismissal->reason, "ours");
  EXPECT_EQ(told->status_change->user, "root");
  Wait(absl::Minutes(10));
  EXPECT_TRUE(Due().empty());
  Reopen();
  EXPECT_FALSE(Send(events_.Exec("/bin/new")));
  EXPECT_EQ(correlator_->Show(finding.uid)->count, 2u) << "the profile knows it";
  EXPECT_EQ(correlator_->Show(finding.uid)->dismissal, told->dismissal);
  EXPECT_EQ(Listed(std::nullopt), 2u);
  EXPECT_EQ(Listed(false), 1u);
  EXPECT_EQ(Listed(true), 1u);
  EXPECT_EQ(correlator_->List({.limit = 1, .dismissed = false})->size(), 1u);
  const auto json = ToJson(*correlator_->Show(finding.uid));
  EXPECT_EQ(json["status"], "dismissed");
  EXPECT_EQ(json["dismissal"]["user"], "root");
}

TEST_F(CorrelatorStatusTest, WhatIsRestoredGrowsAgainAndEachUpdateIsAnother) {
  const Finding finding = *Send(events_.Exec("/bin/new"));
  Commit();
  Set(finding, true);
  const auto told = Set(finding, false);
  ASSERT_TRUE(told);
  EXPECT_FALSE(told->dismissal);
  EXPECT_EQ(told->status_changes, 2u);
  Send(events_.Exec("/bin/new"));
  Wait(absl::Minutes(10));
  const std::vector<Finding> due = Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].count, 2u);
  EXPECT_EQ(due[0].status_changes, 2u);
  EXPECT_FALSE(due[0].status_change);
  EXPECT_EQ(Listed(true), 0u);
  EXPECT_EQ(ToJson(*correlator_->Show(finding.uid))["status"], "new");
}

TEST_F(CorrelatorStatusTest, WhatTheSinksNeverGotIsDismissedWithoutThem) {
  options_.per_hour = 1;
  Reopen();
  Send(events_.Exec("/bin/1"));
  Send(events_.Exec("/bin/2"));
  Commit();
  const std::vector<Finding> all = correlator_->List({}).value();
  const auto held = std::find_if(all.begin(), all.end(),
                                 [](const Finding& f) { return f.behaviour.object == "/bin/2"; });
  ASSERT_NE(held, all.end());
  EXPECT_FALSE(Set(*held, true));
  EXPECT_EQ(Listed(true), 1u);
}

TEST_F(CorrelatorStatusTest, AFindingThatLeavesTakesItsStatusWithIt) {
  const Finding finding = *Send(events_.Exec("/bin/new"));
  Commit();
  Set(finding, true);
  ASSERT_EQ(correlator_->ForgetLeast(10).value(), 1u);
  Commit();
  auto rows = db_->Prepare("SELECT count(*) FROM finding_status");
  ASSERT_TRUE(rows.ok() && rows->Step().value());
  EXPECT_EQ(rows->Int64(0), 0);
  EXPECT_THAT(
      std::string(correlator_->SetDismissal(finding.uid, std::nullopt, {}).status().message()),
      HasSubstr("no finding has the id"));
}

}  // namespace
}  // namespace vedette
