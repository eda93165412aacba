// SPDX-License-Identifier: Apache-2.0
// When learning ends by itself, as the whole agent sees it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kTickBound = absl::Seconds(40);  // The agent looks every ten seconds.

class AgentLearningTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto slice = ScopedCgroup::Create();
    ASSERT_TRUE(slice.ok()) << slice.status();
    slice_.emplace(*std::move(slice));
    job_ = WorkloadOf(*slice_) + "/vedette-test.scope";
    for (const char* name : {"a", "b", "c"}) {
      ASSERT_TRUE(WriteProgram(programs_ / name, name));
    }
  }
  // As systemd runs a transient unit: a cgroup with a number of its own that goes when it ends.
  void RunJob(const std::vector<std::string>& programs) {
    auto cgroup = ScopedCgroup::Create(slice_->path(), ".scope");
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    std::vector<std::string> acts = {VEDETTE_ACTOR_PATH};
    for (const std::string& program : programs) {
      acts.push_back("spawn:1:" + (programs_ / program));
    }
    auto result = cgroup->Run(std::move(acts));
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status();
  }
  bool WaitForRuns(int runs) {
    return WaitFor([&] { return agent_.Profile(job_).value("runs", 0) == runs; });
  }
  bool Knows(const std::string& program) {
    return !AgentProcess::Entries(agent_.Profile(job_), "behaviours", "exec", programs_ / program)
                .empty();
  }
  std::string State() { return agent_.Profile(job_).value("state_text", ""); }

  TempDir programs_{"vedette-programs"};
  std::optional<ScopedCgroup> slice_;
  std::string job_;
  AgentProcess agent_;
};

TEST_F(AgentLearningTest, LearningOfAJobEndsByItsRunsAndNotByHours) {
  agent_.SetConfig("learning: { min_time: 2s, quiet: 24h, min_runs: 3 }");
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  RunJob({"a"});
  ASSERT_TRUE(WaitForRuns(1)) << agent_.Profile(job_).dump();
  RunJob({"a", "b"});
  ASSERT_TRUE(WaitForRuns(2)) << agent_.Profile(job_).dump();
  ASSERT_TRUE(WaitFor([&] { return Knows("b"); }));
  RunJob({"a", "b"});
  ASSERT_TRUE(WaitForRuns(3)) << agent_.Profile(job_).dump();
  ASSERT_TRUE(WaitFor([&] { return agent_.Profile(job_).value("is_job", false); }, kTickBound));
  EXPECT_THAT(State(), HasSubstr("learning (3 of 3 runs, 1 of 2 without news"));
  EXPECT_THAT(agent_.Cli({"profile", "list"}).out, HasSubstr("3 of 3 runs, 1 of 2 without news"));
  RunJob({"b"});
  EXPECT_TRUE(WaitFor([&] { return State() == "learned"; }, kTickBound))
      << agent_.Profile(job_).dump();
  EXPECT_THAT(agent_.Cli({"profile", "show", job_}).out,
              HasSubstr("a job: 4 runs\nlearned from 4 of 3 runs, 2 of 2 without news\n"));
  RunJob({"a", "b"});
  ASSERT_TRUE(WaitForRuns(5));
  EXPECT_THAT(agent_.Findings(job_), IsEmpty());
  RunJob({"c"});
  EXPECT_TRUE(WaitFor([&] { return agent_.Findings(job_).size() == 1; }));
  // What was learned, and how far it was, is there after a restart.
  ASSERT_TRUE(agent_.Stop().ok());
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_EQ(agent_.Profile(job_)["progress"], "4 of 3 runs, 2 of 2 without news");
}

TEST_F(AgentLearningTest, LearningOfAServiceWaitsUntilItIsQuiet) {
  agent_.SetConfig("learning: { min_time: 1s, quiet: 5s }");
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  const std::string service = WorkloadOf(*slice_);
  auto actor = slice_->Spawn({VEDETTE_ACTOR_PATH, "pause"});
  ASSERT_TRUE(actor.ok()) << actor.status();
  EXPECT_TRUE(
      WaitFor([&] { return agent_.Profile(service).value("state", "") == "learned"; }, kTickBound));
  const Json profile = agent_.Profile(service);
  EXPECT_GE(profile["watched_seconds"].get<int>(), 5) << profile.dump();
  EXPECT_THAT(profile["progress"].get<std::string>(), HasSubstr(" of 1 s, quiet "));
  EXPECT_FALSE(profile["is_job"].get<bool>());
}

}  // namespace
}  // namespace vedette::testing
