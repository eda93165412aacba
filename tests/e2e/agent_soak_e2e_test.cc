// SPDX-License-Identifier: Apache-2.0
// The agent under the load of three services for as long as VEDETTE_SOAK says ("1h"; three minutes
// without it): its memory stays flat, its descriptors do not become more, its ledger adds up.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "tests/e2e/acts.h"
#include "tests/e2e/agent_ledger.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kShort = absl::Minutes(3);
constexpr absl::Duration kRound = absl::Milliseconds(500);
constexpr int kJobNames = 20;
// After these all names of jobs were there.
constexpr absl::Duration kFirstLoad = absl::Seconds(25);
// What the agent keeps of a cgroup that is gone is let go of a minute later, at the next look.
constexpr absl::Duration kPause = absl::Seconds(75);
// The maps of eight to sixteen workloads are made ahead, three each.
constexpr size_t kFilesAhead = 24;
constexpr int kNewsEvery = 8;        // Rounds.
constexpr uint64_t kMostNews = 400;  // A cache holds 512 programs; what is beyond is not judged.
constexpr double kGrowth = 1.05;     // Of the median of one quarter to another.
constexpr size_t kGrowthSlackKb = 1024;                 // Pages of the C library's.
constexpr absl::Duration kCounted = absl::Seconds(25);  // Counts come each ten seconds.

absl::Duration SoakTime() {
  const char* text = std::getenv("VEDETTE_SOAK");
  absl::Duration duration = kShort;
  EXPECT_TRUE(text == nullptr || absl::ParseDuration(text, &duration))
      << "VEDETTE_SOAK=" << text << ": write a duration such as 1h";
  return duration;
}

size_t ResidentKb(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    uint64_t kb = 0;
    if (line.rfind("VmRSS:", 0) == 0 &&
        absl::SimpleAtoi(line.substr(6, line.find(" kB") - 6), &kb)) {
      return kb;
    }
  }
  return 0;
}

size_t OpenFiles(pid_t pid) {
  using Iterator = std::filesystem::directory_iterator;
  return static_cast<size_t>(std::distance(Iterator(fmt::format("/proc/{}/fd", pid)), Iterator()));
}

// What was measured after each round, in quarters of the whole time.
class Samples {
 public:
  void Add(size_t value) { values_.push_back(value); }
  size_t Median(int quarter) const {
    const auto part = static_cast<ptrdiff_t>(values_.size() / 4);
    std::vector<size_t> of(values_.begin() + part * quarter,
                           values_.begin() + part * (quarter + 1));
    std::nth_element(of.begin(), of.begin() + part / 2, of.end());
    return of[static_cast<size_t>(part / 2)];
  }

 private:
  std::vector<size_t> values_;
};

class SoakTest : public ::testing::Test {
 protected:
  void SetUp() override {
    agent_.SetConfig("findings: { per_hour: 60 }\n");
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    Shop();
    Job();
    Workshop("first");
    ASSERT_TRUE(WaitFor([this] {
      return agent_.Top(WorkloadOf(shop_)) && agent_.Top(WorkloadOf(jobs_) + "/job-0") &&
             agent_.Top(WorkloadOf(workshop_));
    }));
    agent_.Freeze(WorkloadOf(shop_));
    agent_.Freeze(WorkloadOf(workshop_));
  }

  static void Run(const ScopedCgroup& cgroup, std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    const auto result = cgroup.Run(std::move(acts));
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->exit_code, 0) << result->err;
  }

  // Learned: connections and processes that make no record.
  void Shop() { Run(shop_, {fmt::format("connect:{}:200", listener_.port()), "spawn:20"}); }

  // A cgroup that comes and goes, under one of a few names.
  void Job() {
    const auto cgroup =
        ScopedCgroup::CreateAt(fmt::format("{}/job-{}", jobs_.path(), rounds_ % kJobNames));
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    Run(*cgroup, {"fork:10", "udp:5:9", "spawn:5"});
  }

  // A program that nobody has seen.
  void Workshop(const std::string& what) {
    const std::string path = programs_ / "program-" + what;
    ASSERT_TRUE(WriteProgram(path, what));
    ASSERT_TRUE(workshop_.Run({path}).ok());
    std::filesystem::remove(path);
  }

  void Round(bool with_news) {
    const absl::Time end = absl::Now() + kRound;
    Shop();
    Job();
    if (++rounds_ % kNewsEvery == 0 && with_news && news_ < kMostNews) {
      Workshop(std::to_string(rounds_));
      ++news_;
    }
    WaitFor([end] { return absl::Now() >= end; }, kRound);
  }

  void RoundsUntil(absl::Time end, Samples* resident_kb, bool with_news) {
    while (absl::Now() < end && !HasFatalFailure()) {
      Round(with_news);
      resident_kb->Add(ResidentKb(agent_.pid()));
    }
  }

  // Descriptors once nothing of the load is under way any more.
  size_t FilesAtRest() const {
    LetPass(kPause);
    return OpenFiles(agent_.pid());
  }

  AgentProcess agent_;
  Listener listener_;
  ScopedCgroup shop_ = ScopedCgroup::Create().value();
  ScopedCgroup jobs_ = ScopedCgroup::Create().value();
  ScopedCgroup workshop_ = ScopedCgroup::Create().value();
  TempDir programs_{"vedette-soak"};
  int rounds_ = 0;
  uint64_t news_ = 0;
};

TEST_F(SoakTest, MemoryAndDescriptorsStayAndTheLedgerAddsUp) {
  const absl::Time start = absl::Now();
  const absl::Duration time = SoakTime();
  // What is new takes memory for good, up to the profiles' bounds, so it comes first.
  Samples with_news, resident_kb;
  RoundsUntil(start + std::max(kFirstLoad, time / 4), &with_news, true);
  const size_t files = FilesAtRest();
  RoundsUntil(start + time, &resident_kb, false);
  ASSERT_TRUE(agent_.Running()) << agent_.Log();
  const size_t early = resident_kb.Median(0), late = resident_kb.Median(3);
  EXPECT_LE(late, static_cast<size_t>(static_cast<double>(early) * kGrowth) + kGrowthSlackKb);
  const size_t files_at_end = FilesAtRest();
  EXPECT_LE(files_at_end, files + kFilesAhead);
  fmt::print(
      "{} rounds, {} new programs; resident, medians of the quarters after them: {}, {}, {}, {} "
      "KB; "
      "descriptors at rest, before and after: {} and {}\n",
      rounds_, news_, early, resident_kb.Median(1), resident_kb.Median(2), late, files,
      files_at_end);

  // Whatever was done is in the counts, and of what was new nothing is missing.
  const auto found = [this] {
    uint64_t count = 0;
    for (const Json& finding : agent_.Findings(WorkloadOf(workshop_))) {
      // Beyond the bound of deviations that a profile tells apart, one finding counts the rest.
      count += finding["kind"] == "deviation" ? finding["count"].get<uint64_t>() : 0;
    }
    return count;
  };
  EXPECT_TRUE(WaitFor([&] { return found() == news_; })) << found();
  EXPECT_TRUE(WaitFor([this] { return agent_.Doctor()["status"] == "ok"; }, kCounted));
  EXPECT_THAT(agent_.Findings(WorkloadOf(shop_)), ::testing::IsEmpty());
  ExpectBalanced(agent_.Doctor());
  agent_.ExpectValidJsonLines();
}

}  // namespace
}  // namespace vedette::testing
