// SPDX-License-Identifier: Apache-2.0
// A finding is dismissed, and that is taken back, end to end.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AgentDismissTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
    for (const char* name : {"known", "new", "other"}) {
      ASSERT_TRUE(WriteProgram(programs_ / name, name));
    }
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    Spawn("known");
    agent_.FreezeOnce(workload_, programs_ / "known", 1);
  }
  void Act(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    auto result = cgroup_->Run(std::move(acts));
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status();
  }
  void Spawn(const std::string& program) { Act({"spawn:1:" + (programs_ / program)}); }
  // The finding of a program, once it is there.
  std::string UidOf(const std::string& program) {
    std::string uid;
    EXPECT_TRUE(WaitFor([&] {
      for (const Json& finding : agent_.Findings(workload_)) {
        if (finding["behaviour"]["object"] == programs_ / program) {
          uid = finding["uid"];
        }
      }
      return !uid.empty();
    }));
    return uid;
  }
  ChildResult Dismiss(const std::string& uid, std::vector<std::string> more) {
    more.insert(more.begin(), {"finding", "dismiss", uid});
    return agent_.Cli(std::move(more));
  }
  Json Show(const std::string& uid) { return agent_.Get("/v1/finding", {{"uid", uid}}); }
  uint64_t Count(const std::string& program) {
    uint64_t count = 0;
    const Json profile = agent_.Profile(workload_);
    for (const char* list : {"behaviours", "deviations"}) {
      for (const Json& entry : AgentProcess::Entries(profile, list, "exec", programs_ / program)) {
        count += entry["count"].get<uint64_t>();
      }
    }
    return count;
  }
  uint64_t Records() { return (*agent_.Top(workload_))["records"].get<uint64_t>(); }
  // What the sink was told of a finding: "status/count", in order.
  std::vector<std::string> Told(const std::string& uid) {
    std::vector<std::string> told;
    for (const Json& line : agent_.FindingLines(uid)) {
      told.push_back(
          fmt::format("{}/{}", line["status"].get<std::string>(), line["count"].get<int>()));
    }
    return told;
  }

  TempDir programs_{"vedette-programs"};
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  AgentProcess agent_;
};

TEST_F(AgentDismissTest, ADismissalTeachesTheProfileAndItsUndoMakesTheActNewsAgain) {
  Spawn("new");
  const std::string uid = UidOf("new");
  const ChildResult dismissed = Dismiss(uid, {"--reason", "our backup"});
  ASSERT_EQ(dismissed.exit_code, 0) << dismissed.err;
  EXPECT_THAT(dismissed.out, HasSubstr("takes it for normal now"));
  EXPECT_THAT(agent_.Findings(workload_), IsEmpty()) << "hidden";
  EXPECT_THAT(agent_.Cli({"finding", "list", "--all"}).out, HasSubstr("dismissed"));
  EXPECT_THAT(agent_.Cli({"finding", "show", uid}).out,
              AllOf(HasSubstr("dismissed   by root at "), HasSubstr(": our backup\n")));
  EXPECT_THAT(agent_.Cli({"profile", "show", workload_}).out, HasSubstr(": our backup"));
  EXPECT_THAT(agent_.Cli({"profile", "export", workload_}).out,
              HasSubstr("\"reason\": \"our backup\""));
  ASSERT_TRUE(WaitFor([&] { return Told(uid).size() == 2; }));
  EXPECT_THAT(Told(uid), ElementsAre("New/1", "Suppressed/1"));

  const uint64_t records = Records();
  Spawn("new");
  ASSERT_TRUE(WaitFor([&] { return Count("new") == 2; }));
  EXPECT_EQ(Records(), records) << "the kernel knows it";
  EXPECT_EQ(Show(uid)["count"], 1) << "no finding grows";

  const ChildResult restored = Dismiss(uid, {"--undo"});
  ASSERT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(agent_.Findings(workload_).size(), 1u);
  Spawn("new");
  EXPECT_TRUE(WaitFor([&] { return Show(uid)["count"] == 2; })) << Show(uid).dump();
  EXPECT_GT(Records(), records) << "it was news";
  EXPECT_EQ(Count("new"), 3u);
  Spawn("new");
  EXPECT_TRUE(WaitFor([&] { return Show(uid)["count"] == 3; })) << "and is counted after that";
  EXPECT_EQ(Count("new"), 4u);
  ASSERT_TRUE(WaitFor([&] { return Told(uid).size() == 3; }));
  EXPECT_THAT(Told(uid), ElementsAre("New/1", "Suppressed/1", "New/1"));
  std::set<std::string> uids;
  for (const Json& line : agent_.FindingLines(uid)) {
    EXPECT_TRUE(uids.insert(line["metadata"]["uid"]).second) << "each record has its own id";
  }
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentDismissTest, ADismissalOutlivesARestartAndAKill) {
  Spawn("new");
  const std::string uid = UidOf("new");
  ASSERT_EQ(Dismiss(uid, {"--reason", "ours"}).exit_code, 0);
  agent_.Kill();
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_EQ(Show(uid)["status"], "dismissed");
  ASSERT_TRUE(agent_.Stop().ok());
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_EQ(Show(uid)["dismissal"]["reason"], "ours");
  Spawn("new");
  Spawn("other");
  UidOf("other");
  EXPECT_EQ(Show(uid)["count"], 1);
  EXPECT_EQ(Count("new"), 2u);
  ASSERT_EQ(Dismiss(uid, {"--undo"}).exit_code, 0);
  Spawn("new");
  EXPECT_TRUE(WaitFor([&] { return Show(uid)["count"] == 2; })) << Show(uid).dump();
}

TEST_F(AgentDismissTest, APeersNetworkIsTaughtAndTakenBackToo) {
  // Nobody is at these addresses of a network of documentation; the attempt is the act.
  Act({"reach:192.0.2.1:9"});
  std::string uid;
  ASSERT_TRUE(WaitFor([&] {
    const auto findings = agent_.Findings(workload_);
    uid = findings.empty() ? "" : findings[0]["uid"].get<std::string>();
    return !uid.empty();
  }));
  ASSERT_EQ(Dismiss(uid, {"--reason", "ours"}).exit_code, 0);
  const uint64_t records = Records();
  Act({"reach:192.0.2.7:9"});
  ASSERT_TRUE(WaitFor([&] {
    const auto known =
        AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "connect", "192.0.2.0/24");
    return known.size() == 1 && known[0]["count"] == 2;
  }));
  EXPECT_EQ(Records(), records);
  ASSERT_EQ(Dismiss(uid, {"--undo"}).exit_code, 0);
  Act({"reach:192.0.2.9:9"});
  EXPECT_TRUE(WaitFor([&] { return Show(uid)["count"] == 2; })) << Show(uid).dump();
  EXPECT_GT(Records(), records);
}

TEST_F(AgentDismissTest, WhatCannotBeDismissedIsOneSentence) {
  Spawn("new");
  const std::string uid = UidOf("new");
  const ChildResult unknown = Dismiss("no-such-id", {"--reason", "x"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.err, "vedette: no finding has the id no-such-id: see `vedette finding list`\n");
  EXPECT_EQ(Dismiss("no-such-id", {"--undo"}).err, unknown.err);
  const ChildResult fresh = Dismiss(uid, {"--undo"});
  EXPECT_EQ(fresh.exit_code, 3);
  EXPECT_EQ(fresh.err, fmt::format("vedette: finding {} is not dismissed; there is nothing to "
                                   "undo\n",
                                   uid));
  ASSERT_EQ(Dismiss(uid, {"--reason", "x"}).exit_code, 0);
  const ChildResult again = Dismiss(uid, {"--reason", "x"});
  EXPECT_EQ(again.exit_code, 3);
  EXPECT_THAT(again.err, AllOf(HasSubstr("was dismissed already, by root at "),
                               HasSubstr(fmt::format("see `vedette finding show {}`", uid))));
  EXPECT_THAT(again.err, Not(HasSubstr("\n\n")));
  EXPECT_EQ(Dismiss(uid, {}).exit_code, 2);
}

}  // namespace
}  // namespace vedette::testing
