// SPDX-License-Identifier: Apache-2.0
// Programs on a filesystem whose server does not answer the agent: a real FUSE server of the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/stalling_filesystem.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

constexpr char kWorkerName[] = "vedette-hash";

class AgentHashingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
    if (access("/dev/fuse", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "needs fuse";
    }
  }
  void Start(bool hidden) {
    std::string error;
    files_ = StallingFilesystem::Start({VEDETTE_ACTOR_PATH, kWorkerName, hidden}, error);
    ASSERT_NE(files_, nullptr) << error;
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  }

  // Starts a program in the filesystem's mount namespace; it stays until it is killed.
  Child Run(const std::string& program) {
    auto child = cgroup_->Spawn(
        {"nsenter", "-t", std::to_string(files_->server()), "-m", program, "nothing:x", "wait"});
    EXPECT_TRUE(child.ok()) << child.status();
    // "nothing" prints nothing: the first line is that of "wait".
    EXPECT_TRUE(child->ReadLine().ok()) << child->Err();
    return *std::move(child);
  }
  std::vector<Json> Execs(const std::string& object) const {
    return AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "exec", object);
  }

  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  std::unique_ptr<StallingFilesystem> files_;
};

TEST_F(AgentHashingTest, AServerThatNeverAnswersStopsNeitherTheAgentNorItsStop) {
  // The worst case: nothing says any more that a process serves the overlay's layer.
  Start(/*hidden=*/true);
  if (HasFatalFailure()) {
    return;
  }
  const Child running = Run(files_->through_overlay());
  ASSERT_TRUE(WaitFor([this] { return files_->silences() > 0; })) << agent_.Log();
  // While the worker hangs, everybody else is judged and hashed.
  ASSERT_TRUE(cgroup_->Run({VEDETTE_ACTOR_PATH, "nothing"}).ok());
  EXPECT_TRUE(
      WaitFor([this] { return agent_.Doctor()["hashing"]["stalls"] == 1; }, absl::Seconds(20)))
      << agent_.Doctor().dump();
  const Json doctor = agent_.Doctor();
  EXPECT_EQ(doctor["hashing"]["hanging_workers"], 1);
  EXPECT_THAT(doctor["problems"].dump(), HasSubstr("gets no answer"));
  EXPECT_EQ(doctor["degradations"]["code/stalled"], 1);
  ASSERT_TRUE(WaitFor([this] {
    const auto execs = Execs(VEDETTE_ACTOR_PATH);
    return !execs.empty() && !Execs(files_->through_overlay()).empty();
  })) << agent_.Profile(workload_).dump();
  EXPECT_EQ(Execs(VEDETTE_ACTOR_PATH)[0]["object_sha256"].get<std::string>().size(), 64u);
  EXPECT_FALSE(Execs(files_->through_overlay())[0].contains("object_sha256"));
  // The same filesystem is not touched again.
  const Child again = Run(files_->through_overlay());
  EXPECT_EQ(files_->silences(), 1);

  const absl::Time before = absl::Now();
  const auto code = agent_.Stop();
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 0);
  EXPECT_LT(absl::Now() - before, absl::Seconds(10));
  EXPECT_FALSE(std::filesystem::exists(agent_.pin_dir()));
  EXPECT_EQ(files_->silences(), 1) << "the worker hangs still";
}

// The kernel says so of the file itself, and the table of mounts of what is below an overlay.
TEST_F(AgentHashingTest, WhatAProcessServesIsNotTouchedAtAll) {
  for (const bool through_overlay : {false, true}) {
    Start(/*hidden=*/false);
    if (HasFatalFailure()) {
      return;
    }
    const std::string program = through_overlay ? files_->through_overlay() : files_->direct();
    const Child running = Run(program);
    EXPECT_TRUE(WaitFor([&] { return !Execs(program).empty(); }))
        << agent_.Profile(workload_).dump();
    for (const Json& exec : Execs(program)) {
      EXPECT_EQ(exec["object"].get<std::string>().starts_with("untrusted-fs:"), !through_overlay);
      EXPECT_FALSE(exec.contains("object_sha256"));
    }
    EXPECT_TRUE(WaitFor([this] {
      return agent_.Doctor()["degradations"].value("code/untrusted_fs", uint64_t{0}) >= 1;
    }));
    EXPECT_EQ(files_->silences(), 0);
    EXPECT_EQ(agent_.Doctor()["hashing"]["stalls"], 0);
    EXPECT_TRUE(agent_.Stop().ok());
  }
}

}  // namespace
}  // namespace vedette::testing
