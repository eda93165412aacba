// SPDX-License-Identifier: Apache-2.0
// What is left of an agent that was killed, stopped, or could not keep up.
#include <bpf/bpf.h>
#include <dirent.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/e2e/acts.h"
#include "tests/e2e/agent_ledger.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

class AgentCrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
  }

  // The actor's output, after it ended well.
  std::string Act(std::vector<std::string> acts, absl::Duration bound = absl::Seconds(60)) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    auto result = cgroup_->Run(std::move(acts), bound);
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 0) << result->err;
    return result.ok() ? result->out : "";
  }

  // How often the workload did what has `object` in its name, by profile and deviations.
  uint64_t CountOf(std::string_view channel, std::string_view object) {
    const Json profile = agent_.Profile(workload_);
    uint64_t count = 0;
    for (const char* list : {"behaviours", "deviations"}) {
      for (const Json& entry : AgentProcess::Entries(profile, list, channel, object)) {
        count += entry["count"].get<uint64_t>();
      }
    }
    return count;
  }

  // Learns one exec of the actor by itself, and freezes.
  void LearnAndFreeze() {
    Act({"spawn:3"});
    ASSERT_TRUE(WaitFor([this] { return CountOf("exec", "vedette_actor") >= 4; }));
    agent_.Freeze(workload_);
  }

  void MakePrograms(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(WriteProgram(programs_ / fmt::format("program-{:05}", i), std::to_string(i)));
    }
  }

  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  TempDir programs_{"vedette-programs"};
};

TEST_F(AgentCrashTest, WhatAnotherBuildLeftUnreadIsAGapThatTheStreamTells) {
  const std::string left = agent_.pin_dir() + "/0123456789abcdef";
  std::filesystem::create_directories(left);
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(agent_.Doctor()["status"], "degraded");
  EXPECT_THAT(agent_.Doctor()["problems"].dump(), HasSubstr("another build"));
  const auto told = [this] {
    for (const std::string& line : agent_.JsonLines()) {
      if (line.find("0123456789abcdef") != std::string::npos) {
        return true;
      }
    }
    return false;
  };
  EXPECT_TRUE(WaitFor(told, absl::Seconds(25)));
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentCrashTest, AFloodOfFindingsGoesOutAsAFewAndIsWholeInTheStore) {
  constexpr size_t kPrograms = 20, kBound = 5;
  agent_.SetConfig(fmt::format("findings: {{ per_hour: {} }}", kBound));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  MakePrograms(kPrograms);
  LearnAndFreeze();
  Act({"spawn-each:" + programs_.path()});
  const auto is_all = [](const Json& finding) { return finding["kind"] == "held-back"; };
  const auto stored = [this] { return agent_.Findings(workload_); };
  // An hour may end meanwhile; then one more bound's worth goes out.
  ASSERT_TRUE(WaitFor([&] { return stored().size() >= kPrograms + 1; }));
  const std::vector<Json> findings = stored();
  EXPECT_GE(std::count_if(findings.begin(), findings.end(), is_all), 1);
  EXPECT_TRUE(WaitFor([&] { return agent_.FindingLines(workload_).size() >= kBound + 1; }));
  EXPECT_LE(agent_.FindingLines(workload_).size(), 2 * (kBound + 1));
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentCrashTest, WhatAFullRingDroppedIsInTheLedgerAndStillReported) {
  constexpr int kPrograms = 150;
  agent_.SetConfig("collect: { ring_size: 64KiB }");
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  MakePrograms(kPrograms);
  LearnAndFreeze();
  agent_.Signal(SIGSTOP);
  Act({"spawn-each:" + programs_.path()});
  agent_.Signal(SIGCONT);

  const auto found = [&] {
    std::set<std::string> uids;
    for (const Json& finding : agent_.Findings(workload_)) {
      uids.insert(finding["uid"]);
    }
    return uids.size();
  };
  EXPECT_TRUE(WaitFor([&] { return found() >= kPrograms; }, absl::Seconds(25)));
  EXPECT_EQ(found(), static_cast<size_t>(kPrograms));
  // What other services of this machine do meanwhile is on its way at any one look.
  Json doctor;
  EXPECT_TRUE(WaitFor([&] {
    doctor = agent_.Doctor();
    return LedgerSum(doctor, "kernel", "", "delivered") ==
           LedgerSum(doctor, "collect", "", "received");
  }));
  const uint64_t dropped = LedgerSum(doctor, "kernel", "/code", "dropped", "ring-full");
  EXPECT_GE(dropped, 100u);
  EXPECT_LT(dropped, static_cast<uint64_t>(kPrograms) + 50);
  ExpectBalanced(doctor);
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentCrashTest, WhatWasReportedButNotJudgedIsJudgedAfterTheKill) {
  constexpr int kPrograms = 20;
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  MakePrograms(kPrograms);
  LearnAndFreeze();
  agent_.Signal(SIGSTOP);  // The records reach the ring, and nobody reads them.
  Act({"spawn-each:" + programs_.path()});
  agent_.Kill();
  Act({"spawn:5"});  // Without an agent the kernel goes on counting.
  EXPECT_THAT(agent_.Pins(), Not(IsEmpty()));

  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_THAT(agent_.Log(), HasSubstr("took over from an agent that was killed"));
  Act({"spawn:2"});
  const std::vector<Json> findings = agent_.Findings(workload_);
  std::map<std::string, Json> by_title;
  for (const Json& finding : findings) {
    EXPECT_EQ(finding["count"], 1) << finding["title"];
    EXPECT_TRUE(by_title.emplace(finding["title"], finding).second) << finding["title"];
    EXPECT_THAT(finding["title"].get<std::string>(), HasSubstr(programs_.path()));
    EXPECT_THAT(finding["profile_state"].get<std::string>(), HasSubstr("frozen"));
  }
  EXPECT_EQ(findings.size(), static_cast<size_t>(kPrograms));
  EXPECT_EQ(CountOf("exec", "vedette_actor"), 3u + 5 + 2 + 4);  // Four starts of the actor itself.
  EXPECT_EQ(agent_.Profile(workload_)["state"], "frozen");

  // Once more: nothing is told a second time.
  agent_.Kill();
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_EQ(agent_.Findings(workload_).size(), findings.size());
  for (const Json& finding : agent_.Findings(workload_)) {
    const Json& before = by_title[finding["title"]];
    EXPECT_EQ(finding["uid"], before["uid"]);
    EXPECT_EQ(finding["count"], 1);
  }
  std::map<std::string, int> lines;
  for (const Json& line : agent_.FindingLines(workload_)) {
    lines[line["finding_info"]["uid"]]++;
  }
  EXPECT_EQ(lines.size(), findings.size());
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentCrashTest, WhoIsKilledWhileStoppingLosesNothing) {
  // A broker that does not answer makes the stop last.
  agent_.SetSinks("sinks:\n  - kafka: { brokers: [\"127.0.0.1:1\"] }\n");
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  MakePrograms(2);
  LearnAndFreeze();
  Act({"spawn-each:" + programs_.path()});
  ASSERT_TRUE(WaitFor([&] { return agent_.Findings(workload_).size() == 2; }));
  agent_.Signal(SIGTERM);
  const auto pins = [&](std::string_view folder) {
    size_t count = 0;
    for (const std::string& pin : agent_.Pins()) {
      count += pin.find(folder) != std::string::npos;
    }
    return count;
  };
  ASSERT_TRUE(WaitFor([&] { return pins("/links") == 0; }));
  agent_.Kill();
  ASSERT_GT(pins("/maps/"), 0u) << "it stopped before it was killed";

  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_THAT(agent_.Log(), HasSubstr("took over from an agent that was killed"));
  Act({"spawn:5"});
  EXPECT_TRUE(WaitFor([&] { return CountOf("exec", "vedette_actor") == 3u + 2 + 6; }))
      << CountOf("exec", "vedette_actor");
  EXPECT_EQ(CountOf("exec", programs_.path()), 2u);
  // Each known program again is the same deviation, that grows.
  Act({"spawn-each:" + programs_.path()});
  EXPECT_TRUE(WaitFor([&] { return CountOf("exec", programs_.path()) == 4; }));
  EXPECT_EQ(agent_.Findings(workload_).size(), 2u);
  ASSERT_EQ(agent_.Stop().value_or(-1), 0);
  EXPECT_THAT(agent_.Pins(), IsEmpty());
}

TEST_F(AgentCrashTest, CountsAreExactHoweverOftenTheAgentIsKilled) {
  constexpr int kRounds = 6, kExecs = 300, kConnects = 500, kPrograms = 60;
  Listener listener;
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  MakePrograms(kPrograms);
  LearnAndFreeze();
  const std::string port = std::to_string(listener.port());
  for (int round = 0; round < kRounds; ++round) {
    auto actor = cgroup_->Spawn({VEDETTE_ACTOR_PATH, "spawn-each:" + programs_.path(),
                                 fmt::format("connect-reset:{}:{}", port, kConnects),
                                 fmt::format("spawn:{}", kExecs)});
    ASSERT_TRUE(actor.ok()) << actor.status();
    // Killed in the midst of it, each time somewhere else.
    LetPass(absl::Milliseconds(13 + 37 * round));
    agent_.Kill();
    // And once more while it takes over what the first one left.
    ASSERT_TRUE(agent_.Launch().ok());
    LetPass(absl::Milliseconds(300 + 250 * round));
    agent_.Kill();
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    auto result = actor->Wait(absl::Seconds(60));
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status();
  }
  EXPECT_TRUE(WaitFor([&] { return agent_.Findings(workload_).size() >= kPrograms + 1; }));
  EXPECT_EQ(CountOf("exec", programs_.path()), static_cast<uint64_t>(kRounds) * kPrograms);
  EXPECT_EQ(CountOf("exec", "vedette_actor"), 3u + 1 + kRounds * (kExecs + 1));
  EXPECT_EQ(CountOf("connect", ":" + port + "/tcp"), static_cast<uint64_t>(kRounds) * kConnects);
  const std::vector<Json> findings = agent_.Findings(workload_);
  EXPECT_EQ(findings.size(), kPrograms + 1u);  // The programs and the peer.
  uint64_t of_programs = 0;
  for (const Json& finding : findings) {
    if (finding["behaviour"]["channel"] == "exec") {
      EXPECT_EQ(finding["count"], kRounds) << finding["title"];
      ++of_programs;
    }
  }
  EXPECT_EQ(of_programs, static_cast<uint64_t>(kPrograms));
  ExpectBalanced(agent_.Doctor());
  agent_.ExpectValidJsonLines();
}

// Ids of what the agent holds in the kernel, by the names that fdinfo gives them.
std::set<uint32_t> IdsOf(pid_t pid, const std::string& field) {
  std::set<uint32_t> ids;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/fdinfo", pid), error)) {
    std::ifstream info(entry.path());
    for (std::string name, value; info >> name && std::getline(info, value);) {
      if (name == field + ":") {
        ids.insert(static_cast<uint32_t>(std::stoul(value)));
      }
    }
  }
  return ids;
}

bool AnyIsThere(const std::set<uint32_t>& ids, int (*open_by_id)(uint32_t)) {
  for (const uint32_t id : ids) {
    if (UniqueFd fd(open_by_id(id)); fd.valid()) {
      return true;
    }
  }
  return false;
}

TEST_F(AgentCrashTest, ACleanStopLeavesNothingBehind) {
  for (int run = 0; run < 2; ++run) {
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    LearnAndFreeze();
    EXPECT_THAT(agent_.Pins(), Not(IsEmpty()));
    const std::set<uint32_t> programs = IdsOf(agent_.pid(), "prog_id");
    const std::set<uint32_t> links = IdsOf(agent_.pid(), "link_id");
    const std::set<uint32_t> maps = IdsOf(agent_.pid(), "map_id");
    EXPECT_GE(programs.size(), 10u);
    EXPECT_GE(maps.size(), 10u);
    const auto code = agent_.Stop();
    ASSERT_TRUE(code.ok()) << code.status();
    EXPECT_EQ(*code, 0);
    EXPECT_FALSE(std::filesystem::exists(agent_.pin_dir()));
    EXPECT_FALSE(std::filesystem::exists(agent_.socket()));
    // The kernel frees them a little later than their last user goes.
    EXPECT_TRUE(WaitFor([&] { return !AnyIsThere(programs, bpf_prog_get_fd_by_id); }));
    EXPECT_TRUE(WaitFor([&] { return !AnyIsThere(links, bpf_link_get_fd_by_id); }));
    EXPECT_TRUE(WaitFor([&] { return !AnyIsThere(maps, bpf_map_get_fd_by_id); }));
  }
  // What the first run learned was still there in the second: two lots of acts.
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_EQ(CountOf("exec", "vedette_actor"), 8u);
  EXPECT_EQ(agent_.Profile(workload_)["state"], "frozen");
  EXPECT_THAT(agent_.Findings(workload_), IsEmpty());
}

}  // namespace
}  // namespace vedette::testing
