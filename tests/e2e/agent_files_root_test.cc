// SPDX-License-Identifier: Apache-2.0
// Files, from the act in the kernel to what a sink gets.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

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

  virtual std::string Config(std::string_view on) const {
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
    // Eight: what mkstemp made of the directory's name may look like a word, or not.
    Open("creat", Requests(1, 8));
    ASSERT_TRUE(WaitFor([&] { return RequestsCounted() == 8; }))
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
  Open("creat", Requests(9, 205));
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

TEST_F(AgentFilesTest, WhatADismissalTaughtIsToldAnewOnceItIsTakenBack) {
  Learn();
  Open("creat", {"evil.sh"});
  std::vector<Json> findings;
  ASSERT_TRUE(WaitFor([&] { return (findings = agent_.Findings(workload_)).size() == 1; }));
  const std::string id = findings[0]["uid"];
  ASSERT_EQ(agent_.Cli({"finding", "dismiss", id, "--reason", "ours"}).exit_code, 0);
  ASSERT_EQ(agent_.Cli({"finding", "dismiss", id, "--undo"}).exit_code, 0);
  const uint64_t records = Records();
  std::filesystem::remove(dir_ / "evil.sh");
  Open("creat", {"evil.sh"});
  EXPECT_TRUE(WaitFor([&] { return Records() == records + 1; })) << Records() - records;
}

TEST_F(AgentFilesTest, AnAgentThatIsKilledGoesOnCountingWhereItStopped) {
  Learn();
  agent_.Kill();
  Open("creat", Requests(9, 55));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  Open("creat", Requests(56, 65));
  EXPECT_TRUE(WaitFor([&] { return RequestsCounted() == 65; })) << RequestsCounted();
  EXPECT_THAT(agent_.Findings(workload_), ::testing::IsEmpty());
}

TEST_F(AgentFilesTest, ADirectoryForEachRequestIsOneBehaviour) {
  const auto request = [&](int from, int to) {
    std::vector<std::string> names;
    for (int i = from; i <= to; ++i) {
      std::filesystem::create_directory(dir_ / fmt::format("req-{}", i));
      names.push_back(fmt::format("req-{}/out.txt", i));
    }
    Open("creat", names);
  };
  const auto counted = [&] {
    const std::vector<Json> found =
        AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "file", "/req-*/out.txt");
    return found.size() == 1 ? found[0]["count"].get<uint64_t>() : 0;
  };
  request(1, 8);
  ASSERT_TRUE(WaitFor([&] { return counted() == 8; })) << agent_.Profile(workload_).dump(1);
  agent_.Freeze(workload_);
  const uint64_t records = Records();
  request(9, 200);
  EXPECT_TRUE(WaitFor([&] { return counted() == 200; })) << counted();
  EXPECT_EQ(Records(), records);
  EXPECT_THAT(agent_.Findings(workload_), ::testing::IsEmpty());
  // What else is done there is none of it.
  Open("creat", {"req-9/evil.sh"});
  std::vector<Json> findings;
  EXPECT_TRUE(WaitFor([&] { return !(findings = agent_.Findings(workload_)).empty(); }));
  EXPECT_EQ(findings.size(), 1u) << Json(findings).dump(1);
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

// A cache that is too small for what the workload does.
class AgentFileRoomTest : public AgentFilesTest {
 protected:
  static constexpr size_t kEntries = 64;

  std::string Config(std::string_view on) const override {
    return AgentFilesTest::Config(on) + fmt::format("cache: {{ file_entries: {} }}\n", kEntries);
  }

  uint64_t Count(const std::string& name) const {
    const std::vector<Json> found =
        AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "file", "/" + name);
    return found.empty() ? 0 : found[0]["count"].get<uint64_t>();
  }

  // Makes them, of which nothing is left after that, and waits until the last is counted.
  void Make(const std::vector<std::string>& names, uint64_t count) {
    Open("creat", names);
    EXPECT_TRUE(WaitFor([&] { return Count(names.back()) == count; })) << names.back();
    for (const std::string& name : names) {
      std::filesystem::remove(dir_ / name);
    }
  }

  // Words, so that each stands for itself.
  static std::vector<std::string> Names(char first) {
    std::vector<std::string> names;
    for (char c = 'a'; c <= 't'; ++c) {
      names.push_back(std::string{first, c});
    }
    return names;
  }
};

TEST_F(AgentFileRoomTest, WhatMadeRoomIsKnownWhenItComesAgainAndWhatIsNewIsAFinding) {
  for (char first = 'a'; first <= 'h'; ++first) {
    Make(Names(first), 1);
  }
  agent_.Freeze(workload_);
  const auto dropped = [&] {
    return agent_.Doctor()["bookkeeping"]["files_dropped"].get<uint64_t>();
  };
  EXPECT_GE(dropped(), 8 * 20 - kEntries);
  EXPECT_THAT(agent_.Log(), ::testing::HasSubstr("its verdict cache for files is half full"));
  const uint64_t records = Records();
  Make(Names('a'), 2);
  EXPECT_GT(Records(), records) << "none had made room";
  EXPECT_THAT(agent_.Findings(workload_), ::testing::IsEmpty());

  // Nor is anything lost by a kill in between, or told twice.
  agent_.Kill();
  Open("creat", Names('b'));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  for (const std::string& name : Names('b')) {
    ASSERT_TRUE(WaitFor([&] { return Count(name) == 2; })) << name << " " << Count(name);
  }
  EXPECT_THAT(agent_.Findings(workload_), ::testing::IsEmpty());

  Open("creat", {"evil.sh"});
  std::vector<Json> findings;
  EXPECT_TRUE(WaitFor([&] { return !(findings = agent_.Findings(workload_)).empty(); }));
  ASSERT_EQ(findings.size(), 1u) << Json(findings).dump(1);
  EXPECT_EQ(findings[0]["file"]["path"], dir_ / "evil.sh");
  for (const Json& full : agent_.Doctor()["full"]) {
    EXPECT_NE(full["workload"], workload_) << "there was no room";
  }
}

TEST_F(AgentFileRoomTest, CountsOfWhatMadeRoomAreKept) {
  for (uint64_t count = 1; count <= 3; ++count) {
    Make({"kept"}, count);
  }
  for (char first = 'a'; first <= 'h'; ++first) {
    Make(Names(first), 1);
  }
  const uint64_t records = Records();
  Make({"kept"}, 4);
  EXPECT_EQ(Records(), records + 1) << "it had not made room";
  Make({"kept"}, 5);
}

}  // namespace
}  // namespace vedette::testing
