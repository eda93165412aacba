// SPDX-License-Identifier: Apache-2.0
// The store's disk is full, turns read-only or spoils what is on it.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "agent/base/sqlite.h"
#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/scoped_mounts.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AgentStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
    std::filesystem::create_directories(agent_.store_dir());
  }
  void TearDown() override {
    agent_.Kill();
    umount2(agent_.store_dir().c_str(), MNT_DETACH);
    if (!loop_.empty()) {
      Child::Run({"losetup", "-d", loop_}).IgnoreError();
    }
  }

  // What is mounted from here on is this test's and its children's alone.
  void UseOwnMounts() {
    const absl::Status entered = mounts_.Enter();
    ASSERT_TRUE(entered.ok()) << entered;
  }

  void Act(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    auto result = cgroup_->Run(std::move(acts), absl::Seconds(60));
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->exit_code, 0) << result->err;
  }
  // Runs programs that the workload never ran: one finding each.
  void RunNew(int first, int count) {
    TempDir programs("vedette-programs");
    for (int i = first; i < first + count; ++i) {
      ASSERT_TRUE(WriteProgram(programs / fmt::format("program-{:05}", i), std::to_string(i)));
    }
    Act({"spawn-each:" + programs.path()});
  }
  void StartAndFreeze() {
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    Act({"spawn:1"});
    agent_.FreezeOnce(workload_, "vedette_actor", 2);
  }
  std::string Problems() { return agent_.Doctor().value("problems", Json::array()).dump(); }
  bool WaitForProblem(const std::string& text) {
    return WaitFor([&] { return Problems().find(text) != std::string::npos; }, absl::Seconds(30));
  }
  // The programs of the findings of the file, in its order, each once.
  std::vector<int> Told() {
    std::vector<int> told;
    std::set<std::string> uids;
    for (const Json& line : agent_.FindingLines(workload_)) {
      const std::string text = line.dump();
      const size_t at = text.find("program-");
      if (at != std::string::npos && uids.insert(line["finding_info"]["uid"]).second) {
        told.push_back(std::stoi(text.substr(at + 8, 5)));
      }
    }
    return told;
  }
  std::vector<int> ToldSorted() {
    std::vector<int> told = Told();
    std::sort(told.begin(), told.end());
    return told;
  }
  // As they stand in the file.
  std::vector<int64_t> Times() {
    std::vector<int64_t> times;
    for (const Json& line : agent_.FindingLines(workload_)) {
      times.push_back(line["time"].get<int64_t>());
    }
    return times;
  }
  static std::vector<int> Numbers(int count) {
    std::vector<int> numbers;
    for (int i = 0; i < count; ++i) {
      numbers.push_back(i);
    }
    return numbers;
  }
  bool StreamTells(const std::string& text) {
    return WaitFor(
        [&] {
          for (const std::string& line : agent_.JsonLines()) {
            if (line.find(text) != std::string::npos) {
              return true;
            }
          }
          return false;
        },
        absl::Seconds(30));
  }

  ScopedMounts mounts_;
  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  std::string loop_;
};

TEST_F(AgentStoreTest, AFullDiskLosesNothingAndGoesOnByItselfWhenThereIsRoom) {
  UseOwnMounts();
  ASSERT_EQ(mount("tmpfs", agent_.store_dir().c_str(), "tmpfs", 0, "size=6m"), 0);
  agent_.SetConfig("learning: { min_time: 24h }");
  StartAndFreeze();
  RunNew(0, 5);
  ASSERT_TRUE(WaitFor([&] { return Told().size() >= 5; }));

  const std::string filler = agent_.store_dir() + "/filler";
  const int fd = open(filler.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const std::string block(4096, 'f');
  while (write(fd, block.data(), block.size()) > 0) {
  }
  close(fd);
  RunNew(5, 150);
  ASSERT_TRUE(WaitForProblem("the disk is full")) << Problems() << agent_.Log();
  EXPECT_EQ(agent_.Doctor()["status"], "degraded");
  EXPECT_GT(agent_.Doctor()["store"]["failed_commits"].get<int>(), 0);
  RunNew(155, 45);
  EXPECT_EQ(agent_.Findings(workload_).size(), Told().size()) << "what is told is in the store";

  ASSERT_TRUE(std::filesystem::remove(filler));
  EXPECT_TRUE(WaitFor([&] { return Told().size() >= 200; }, absl::Seconds(40)));
  EXPECT_EQ(ToldSorted(), Numbers(200)) << "none lost";
  EXPECT_TRUE(std::ranges::is_sorted(Times())) << "in the order in which they were done";
  EXPECT_EQ(agent_.Findings(workload_).size(), 200u);
  EXPECT_TRUE(WaitFor([&] { return agent_.Doctor()["problems"].empty(); })) << Problems();
  agent_.ExpectValidJsonLines();
}

// A disk of its own, that the kernel makes read-only when it fails.
class AgentDiskTest : public AgentStoreTest {
 protected:
  void SetUp() override {
    AgentStoreTest::SetUp();
    UseOwnMounts();
    std::ofstream(Image()).close();
    std::filesystem::resize_file(Image(), 64 << 20);
    auto made = Child::Run({"mkfs.ext4", "-q", Image()});
    auto loop = Child::Run({"losetup", "-f", "--show", Image()});
    if (!made.ok() || made->exit_code != 0 || !loop.ok() || loop->exit_code != 0) {
      GTEST_SKIP() << "needs loop";
    }
    loop_ = loop->out.substr(0, loop->out.find('\n'));
    ASSERT_TRUE(Mount("errors=remount-ro"));
    StartAndFreeze();
    RunNew(0, 5);
    ASSERT_TRUE(WaitFor([&] { return Told().size() >= 5; }));
  }
  std::string Image() const { return agent_.dir() + "/disk"; }
  bool Mount(const char* options) {
    return mount(loop_.c_str(), agent_.store_dir().c_str(), "ext4", 0, options) == 0;
  }
  // As the kernel does when the disk fails.
  void Fail() {
    std::ofstream(
        fmt::format("/sys/fs/ext4/{}/trigger_fs_error", loop_.substr(loop_.rfind('/') + 1)))
        << "test" << std::flush;
  }
  void MendAndExpectAllTold() {
    EXPECT_THAT(agent_.Pins(), Not(IsEmpty()));
    ASSERT_EQ(umount2(agent_.store_dir().c_str(), 0), 0) << strerror(errno);
    auto checked = Child::Run({"e2fsck", "-fy", Image()}, absl::Seconds(30));
    ASSERT_TRUE(checked.ok());
    ASSERT_TRUE(Mount(nullptr)) << strerror(errno);
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    EXPECT_TRUE(WaitFor([&] { return Told().size() >= 25; }, absl::Seconds(30)));
    EXPECT_EQ(ToldSorted(), Numbers(25));
    EXPECT_TRUE(agent_.Stop().ok());
    EXPECT_THAT(agent_.Pins(), IsEmpty());
  }
};

TEST_F(AgentDiskTest, AStopAfterItTurnedReadOnlyLosesNothing) {
  Fail();
  RunNew(5, 20);
  ASSERT_TRUE(WaitForProblem("read-only")) << agent_.Log();
  ASSERT_TRUE(agent_.Stop().ok());
  MendAndExpectAllTold();
}

TEST_F(AgentDiskTest, AStopThatIsTheFirstToMeetItReadOnlyLosesNothing) {
  agent_.Signal(SIGSTOP);
  Fail();
  RunNew(5, 20);
  agent_.Signal(SIGTERM);
  agent_.Signal(SIGCONT);
  ASSERT_TRUE(agent_.Stop().ok());
  MendAndExpectAllTold();
}

TEST_F(AgentStoreTest, DamageDuringTheRunIsSetAsideAndTheAgentGoesOn) {
  StartAndFreeze();
  RunNew(0, 150);
  ASSERT_TRUE(WaitFor([&] { return Told().size() >= 150; }));
  const pid_t pid = agent_.pid();
  for (const char* suffix : {"", "-wal"}) {
    // All but the first pages.
    const std::string path = agent_.store_dir() + "/vedette.db" + suffix;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<size_t>(std::filesystem::file_size(path));
    if (size > 65536) {
      file.seekp(65536);
      file << std::string(size - 65536, '\x5a');
    }
  }
  int round = 0;
  const bool set_aside = WaitFor(
      [&] {
        if (round < 20) {
          RunNew(300 + 5 * round, 5);
          ++round;
        }
        for (const auto& entry : std::filesystem::directory_iterator(agent_.store_dir())) {
          if (entry.path().string().find(".damaged-") != std::string::npos) {
            return true;
          }
        }
        return false;
      },
      absl::Seconds(60));
  ASSERT_TRUE(set_aside) << agent_.Log();
  ASSERT_TRUE(agent_.WaitUntilReady().ok()) << agent_.Log();
  EXPECT_EQ(agent_.pid(), pid);
  EXPECT_TRUE(WaitForProblem("was damaged and is set aside as")) << Problems();
  EXPECT_TRUE(StreamTells("was damaged and is set aside as"));
  EXPECT_EQ(agent_.Doctor()["status"], "degraded");
  // It guards on: what is new after the damage is told, if the profile could be kept as frozen.
  agent_.Freeze(workload_);
  RunNew(90000, 1);
  EXPECT_TRUE(StreamTells("program-90000")) << agent_.Log();
}

TEST_F(AgentStoreTest, ANewStoreLearnsWhatTheKernelTookForKnown) {
  agent_.SetConfig("learning: { min_time: 24h }");
  TempDir scripts("vedette-scripts");
  const std::string script = scripts / "known-script";
  ASSERT_TRUE(WriteFile(script, "#!/bin/sh\nexit 0\n"));
  ASSERT_EQ(chmod(script.c_str(), 0755), 0);
  const auto count_of = [&](std::string_view text) {
    uint64_t count = 0;
    for (const Json& entry :
         AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "exec", "")) {
      const bool is_it = entry["object"].get<std::string>().find(text) != std::string::npos ||
                         entry.value("script", "").find(text) != std::string::npos;
      count += is_it ? entry["count"].get<uint64_t>() : 0;
    }
    return count;
  };
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  auto service = cgroup_->Spawn({VEDETTE_ACTOR_PATH, "pause"});
  ASSERT_TRUE(service.ok()) << service.status();
  Act({"spawn:5"});
  ASSERT_TRUE(cgroup_->Run({script}).ok());
  ASSERT_TRUE(WaitFor([&] {
    return count_of("vedette_actor") == 7 && count_of("known-script") == 1;
  })) << agent_.Profile(workload_).dump();
  agent_.Kill();
  Act({"spawn:1"});
  std::error_code error;
  std::filesystem::remove_all(agent_.store_dir(), error);

  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  // What has a name by a process that runs is there at once, with all that the kernel counted.
  EXPECT_TRUE(WaitFor([&] { return count_of("vedette_actor") == 9; })) << count_of("vedette_actor");
  EXPECT_EQ(count_of("path lost"), 0u);
  // The name of a script is not in the kernel: its next execution tells it.
  EXPECT_EQ(count_of("known-script"), 0u);
  ASSERT_TRUE(cgroup_->Run({script}).ok());
  EXPECT_TRUE(WaitFor([&] { return count_of("known-script") == 2; })) << count_of("known-script");
  Act({"spawn:1"});
  EXPECT_TRUE(WaitFor([&] { return count_of("vedette_actor") == 11; }));
}

TEST_F(AgentStoreTest, WhileAnotherProcessHoldsItTheAgentAnswersAndCanEnd) {
  StartAndFreeze();
  auto other = SqliteDatabase::Open(agent_.store_dir() + "/vedette.db");
  ASSERT_TRUE(other.ok() && (*other)->Begin().ok()) << other.status();
  RunNew(0, 3);
  ASSERT_TRUE(WaitFor(
      [&] {
        const ChildResult doctor = agent_.Cli({"doctor"});
        return doctor.out.find("another process holds the database") != std::string::npos;
      },
      absl::Seconds(30)))
      << agent_.Log();
  absl::Time asked = absl::Now();
  EXPECT_THAT(Problems(), HasSubstr("another process holds the database"));
  EXPECT_LT(absl::Now() - asked, absl::Seconds(3));
  asked = absl::Now();
  EXPECT_EQ(agent_.Stop().value_or(-1), 0);
  EXPECT_LT(absl::Now() - asked, absl::Seconds(20));
  (*other)->Rollback();

  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_TRUE(WaitFor([&] { return agent_.Findings(workload_).size() >= 3; }, absl::Seconds(30)))
      << agent_.Log();
}

TEST_F(AgentStoreTest, ADatabaseThatIsNoneIsSetAsideAtTheStart) {
  ASSERT_TRUE(WriteFile(agent_.store_dir() + "/vedette.db", std::string(9000, 'x')));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_THAT(Problems(), HasSubstr("was damaged and is set aside as"));
  EXPECT_TRUE(StreamTells("was damaged and is set aside as"));
  ASSERT_TRUE(agent_.Stop().ok());
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_THAT(Problems(), Not(HasSubstr("damaged")));
}

TEST_F(AgentStoreTest, ASinkThatLeavesTheConfigurationIsToldToTheOthers) {
  const std::string both = fmt::format(
      "sinks:\n  - jsonl: {{ path: {} }}\n"
      "  - jsonl: {{ path: {}/no/such/dir/f.jsonl, name: second }}\n",
      agent_.jsonl_path(), agent_.dir());
  agent_.SetSinks(both);
  std::ofstream(agent_.dir() + "/no") << "a file, so that the sink cannot write";
  StartAndFreeze();
  RunNew(0, 3);
  ASSERT_TRUE(WaitFor([&] { return Told().size() >= 3; }));
  ASSERT_TRUE(agent_.Stop().ok());
  agent_.SetSinks("");
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_THAT(agent_.Log(), HasSubstr("sink second is no longer configured"));
  EXPECT_TRUE(StreamTells("records waited for sink second"));
  agent_.ExpectValidJsonLines();
}

}  // namespace
}  // namespace vedette::testing
