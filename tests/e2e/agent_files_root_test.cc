// SPDX-License-Identifier: Apache-2.0
// Files, from the act in the kernel to what a sink gets.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

class AgentFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteFile(dir_ / "secret", "x"));
    // Other tests of this machine make files as well; what is made below /tmp is generalised.
    agent_.SetConfig(Config("on"));
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    cgroup_.emplace(ScopedCgroup::Create().value());
    workload_ = WorkloadOf(*cgroup_);
  }

  std::string Config(std::string_view on) const {
    return fmt::format("probes: {{ files: {} }}\nfiles: {{ watch: [\"{}\"] }}\n", on,
                       dir_ / "secret");
  }

  void Open(const std::string& how, const std::vector<std::string>& names) {
    std::vector<std::string> acts = {VEDETTE_ACTOR_PATH};
    for (const std::string& name : names) {
      acts.push_back(fmt::format("open:{}:{}", how, dir_ / name));
    }
    absl::StatusOr<ChildResult> result = cgroup_->Run(acts);
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status();
  }

  static std::vector<std::string> Requests(int from, int to) {
    std::vector<std::string> names;
    for (int i = from; i <= to; ++i) {
      names.push_back(fmt::format("request-{}.tmp", i));
    }
    return names;
  }

  uint64_t RequestsCounted() const {
    uint64_t count = 0;
    for (const Json& entry :
         AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "file", "/request-*.tmp")) {
      count += entry["count"].get<uint64_t>();
    }
    return count;
  }

  uint64_t Records() const {
    const auto row = agent_.Top(workload_);
    return row ? (*row)["records"].get<uint64_t>() : 0;
  }

  void Learn() {
    Open("creat", Requests(1, 5));
    ASSERT_TRUE(WaitFor([&] { return RequestsCounted() == 5; }))
        << agent_.Profile(workload_).dump(1);
    agent_.Freeze(workload_);
  }

  TempDir dir_{"vedette-files"};
  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
};

TEST_F(AgentFilesTest, LearnedNamesCostNoRecordAndOtherFilesAreFindings) {
  Learn();
  const uint64_t records = Records();
  Open("creat", Requests(6, 205));
  EXPECT_TRUE(WaitFor([&] { return RequestsCounted() == 205; })) << RequestsCounted();
  EXPECT_EQ(Records(), records);
  EXPECT_THAT(agent_.Findings(workload_), ::testing::IsEmpty());

  Open("creat", {"evil.sh"});
  Open("read", {"secret"});
  std::vector<Json> lines;
  EXPECT_TRUE(WaitFor([&] {
    lines = agent_.FindingLines(workload_);
    return lines.size() == 2;
  })) << Json(lines).dump(1);
  std::vector<std::string> paths;
  for (const Json& line : lines) {
    paths.push_back(line["evidences"][0]["file"]["path"]);
    EXPECT_EQ(line["evidences"][0]["process"]["path"], VEDETTE_ACTOR_PATH);
  }
  EXPECT_THAT(paths, ::testing::UnorderedElementsAre(dir_ / "evil.sh", dir_ / "secret"));
  agent_.ExpectValidJsonLines();
}

TEST_F(AgentFilesTest, AnAgentThatIsKilledGoesOnCountingWhereItStopped) {
  Learn();
  agent_.Kill();
  Open("creat", Requests(6, 55));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  Open("creat", Requests(56, 65));
  EXPECT_TRUE(WaitFor([&] { return RequestsCounted() == 65; })) << RequestsCounted();
  EXPECT_THAT(agent_.Findings(workload_), ::testing::IsEmpty());
}

TEST_F(AgentFilesTest, WithTheProbeOffAgainNothingOfItIsLeftAttached) {
  Learn();
  const auto is_attached = [&] {
    const std::vector<std::string> pins = agent_.Pins();
    return std::any_of(pins.begin(), pins.end(), [](const std::string& pin) {
      return pin.ends_with("/links/files_sys_exit");
    });
  };
  ASSERT_TRUE(is_attached());
  agent_.Kill();
  agent_.SetConfig(Config("off"));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_FALSE(is_attached());
  Open("creat", {"evil.sh"});
  // And on again, with the caches of the workloads that were there without it.
  agent_.Kill();
  agent_.SetConfig(Config("on"));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  Open("creat", {"worse.sh"});
  std::vector<Json> findings;
  EXPECT_TRUE(WaitFor([&] {
    findings = agent_.Findings(workload_);
    return !findings.empty();
  }));
  ASSERT_EQ(findings.size(), 1u) << Json(findings).dump(1);
  EXPECT_EQ(findings[0]["file"]["path"], dir_ / "worse.sh");
}

}  // namespace
}  // namespace vedette::testing
