// SPDX-License-Identifier: Apache-2.0
// What default profiles cover, by the names and code identities that the kernel gives.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

class AgentDefaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
    // Copies of the actor that differ in a byte behind their end.
    const std::string actor = ReadFile(VEDETTE_ACTOR_PATH);
    for (const char* name : {"manager", "owned", "impostor", "service"}) {
      ASSERT_TRUE(WriteFile(programs_ / name, actor + name));
      ASSERT_EQ(chmod((programs_ / name).c_str(), 0755), 0);
    }
    ASSERT_EQ(chown((programs_ / "owned").c_str(), 65534, 65534), 0);
    ASSERT_EQ(chmod(programs_.path().c_str(), 0755), 0);
    for (const char* name : {"below", "outside", "by-owned", "by-impostor"}) {
      ASSERT_TRUE(WriteProgram(programs_ / name, name));
    }
  }
  void StartWith(const std::string& rules) {
    const std::string file = agent_.dir() + "/defaults.yaml";
    ASSERT_TRUE(WriteFile(file, fmt::format("version: 1\nprofiles:\n  - name: the manager\n    "
                                            "about: of this test\n    rules:\n      - {}\n",
                                            rules)));
    agent_.SetConfig(
        fmt::format("learning: {{ default_profiles: {} }}\ncache: {{ exec_entries: 16 }}\n", file));
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  }
  void Run(std::vector<std::string> argv) {
    auto result = cgroup_->Run(std::move(argv));
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status() << result->err;
  }
  std::string Spawn(const std::string& program) { return "spawn:1:" + (programs_ / program); }
  // The finding of a program, once it is there.
  Json FindingOf(const std::string& program, const std::string& mark = "") {
    Json found;
    EXPECT_TRUE(WaitFor([&] {
      for (const Json& finding : agent_.Findings(workload_)) {
        if (finding["behaviour"].value("object", "") == mark + (programs_ / program)) {
          found = finding;
        }
      }
      return !found.is_null();
    })) << program;
    return found;
  }

  TempDir programs_{"vedette-programs"};
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  AgentProcess agent_;
};

TEST_F(AgentDefaultsTest, AProgramCountsByTheCodeAtItsPathAndNotByTheName) {
  StartWith(fmt::format("workloads: [\"host/**\"]\n        below: [{}, {}]", programs_ / "manager",
                        programs_ / "owned"));
  Run({programs_ / "service", Spawn("manager"), Spawn("owned")});
  agent_.FreezeOnce(workload_, programs_ / "owned", 1);
  Run({programs_ / "manager", Spawn("below")});
  const Json below = FindingOf("below");
  EXPECT_EQ(below.value("default_profile", ""), "the manager") << below.dump();
  EXPECT_THAT(below["sentence"].get<std::string>(),
              HasSubstr(fmt::format("Never above low by the default profile: the manager (by {}).",
                                    programs_ / "manager")));
  Run({programs_ / "service", Spawn("outside")});
  EXPECT_FALSE(FindingOf("outside").contains("default_profile"));
  Run({programs_ / "owned", Spawn("by-owned")});
  EXPECT_FALSE(FindingOf("by-owned").contains("default_profile")) << "not root's file";
  // Another file is put over the path, where only this process sees it.
  Run({"unshare", "-m", "sh", "-c", R"(mount --bind "$1" "$2" && exec "$2" "$3")", "sh",
       programs_ / "impostor", programs_ / "manager", Spawn("by-impostor")});
  const Json impostor = FindingOf("by-impostor", "elsewhere:");
  EXPECT_EQ(impostor["behaviour"]["subject"], "elsewhere:" + (programs_ / "manager"));
  EXPECT_FALSE(impostor.contains("default_profile")) << impostor.dump();
}

TEST_F(AgentDefaultsTest, AWorkloadIsCoveredByItsNameWhateverItDoes) {
  StartWith(fmt::format("workloads: [{}]", workload_));
  Run({programs_ / "service", "spawn:1"});
  agent_.FreezeOnce(workload_, programs_ / "service", 1);
  EXPECT_THAT(agent_.Cli({"profile", "show", workload_}).out,
              HasSubstr("default profile: the manager; its findings are never above low\n"));
  TempDir many("vedette-many");
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(WriteProgram(many / std::to_string(i), std::to_string(i)));
  }
  Run({programs_ / "service", "spawn-each:" + many.path()});
  const auto overflow = [&] {
    for (const Json& finding : agent_.Findings(workload_)) {
      if (finding["kind"] == "cache-overflow") {
        return finding;
      }
    }
    return Json();
  };
  ASSERT_TRUE(WaitFor([&] { return !overflow().is_null(); }));
  EXPECT_EQ(overflow()["severity"], "low") << "medium elsewhere";
  EXPECT_EQ(overflow()["default_profile"], "the manager");
  for (const Json& finding : agent_.Findings(workload_)) {
    EXPECT_EQ(finding["severity"], "low") << finding.dump();
  }
  ASSERT_TRUE(WaitFor([&] { return !agent_.FindingLines("cache-overflow").empty(); }));
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentDefaultsTest, AFileThatIsWrongIsSaidBeforeTheAgentRuns) {
  const std::string file = agent_.dir() + "/defaults.yaml";
  ASSERT_TRUE(WriteFile(file, "version: 1\nprofiles: []\n"));
  agent_.SetConfig(fmt::format("learning: {{ default_profiles: {} }}\n", file));
  const auto ended = agent_.RunToEnd();
  ASSERT_TRUE(ended.ok());
  EXPECT_NE(ended->exit_code, 0);
  EXPECT_THAT(ended->err, HasSubstr(file + ":2:11: profiles is not a list of 1 to 64"));
  const auto checked =
      Child::Run({VEDETTE_BINARY, "run", "--check-config", "--config", agent_.config_path()});
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->exit_code, 1);
  EXPECT_THAT(checked->err, HasSubstr(file + ":2:11: profiles is not a list of 1 to 64"));
}

}  // namespace
}  // namespace vedette::testing
