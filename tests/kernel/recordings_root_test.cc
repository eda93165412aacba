// SPDX-License-Identifier: Apache-2.0
// Makes the recordings of tests/recordings; see recordings_test.cc. Without VEDETTE_RECORD it only
// checks that they still can be made: that each act gives the kinds of records that a recording is
// there for.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "bpf/wire/kinds.h"
#include "tests/kernel/probe_fixture.h"
#include "tests/recordings/recording.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

// What is above the test says where it was recorded, and nothing else.
void CutAncestors(std::string& record) {
  auto* process = reinterpret_cast<wire_process*>(record.data() + sizeof(wire_header));
  wire_ancestor kept[WIRE_ANCESTORS] = {};
  uint32_t count = 0;
  for (uint32_t i = 0; i < process->ancestor_count; ++i) {
    kept[count] = process->ancestors[(process->ancestor_head + i) % WIRE_ANCESTORS];
    if (kept[count++].id.tgid == static_cast<uint32_t>(getpid())) {
      break;
    }
  }
  process->ancestor_count = count;
  process->ancestor_head = 0;
  memcpy(process->ancestors, kept, sizeof(kept));
}

void Clean(std::string& record) {
  const uint16_t kind = HeaderOf(record).kind;
  if (kind != WIRE_KIND_CGROUP && kind != WIRE_KIND_OVERFLOW) {
    CutAncestors(record);
  }
  ClearRooms(record);
}

class RecordTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    // A copy with a path that means nothing.
    std::filesystem::copy_file(Actor(), dir_ / "service");
    std::filesystem::copy_file(Actor(), dir_ / "intruder");
    Attach();
  }

  std::string Service() const { return dir_ / "service"; }
  std::string Intruder() const { return dir_ / "intruder"; }

  // Keeps what the workloads did, in the order of time, and writes it where that is asked for.
  void Keep(const std::string& name, const std::set<uint64_t>& workloads,
            const std::set<uint16_t>& expected) {
    ReadRings();
    Recording recording{BootTime(), {}};
    std::set<uint16_t> kinds;
    for (std::string record : records()) {
      const wire_header header = HeaderOf(record);
      if (workloads.count(header.slot.workload) == 0) {
        continue;
      }
      kinds.insert(header.kind);
      Clean(record);
      recording.records.push_back(std::move(record));
    }
    std::stable_sort(recording.records.begin(), recording.records.end(),
                     [](const std::string& a, const std::string& b) {
                       return HeaderOf(a).boot_ns < HeaderOf(b).boot_ns;
                     });
    EXPECT_EQ(kinds, expected);
    if (getenv("VEDETTE_RECORD") != nullptr) {
      const std::string folder = "tests/recordings/" + name;
      std::filesystem::create_directories(folder);
      absl::Status written = WriteRecording(folder + "/ring.bin", recording);
      EXPECT_TRUE(written.ok()) << written;
    }
  }

  bool AwaitExitOf(const ScopedCgroup& cgroup, size_t count) {
    return WaitFor([&] {
      ReadRings();
      return Count<ExitEvent>([&](const ExitEvent& exit) {
               return exit.process.home_cgroup_id == cgroup.id();
             }) >= count;
    });
  }

 protected:
  TempDir dir_{"vedette-recording"};
};

TEST_F(RecordTest, ExecAndExit) {
  ScopedCgroup cgroup = WatchedCgroup(".service");
  ASSERT_EQ(cgroup.Run({Service(), "exec:2", "thread-exec"})->exit_code, 0);
  ASSERT_EQ(cgroup.Run({Service(), "exec:1:" + Intruder(), "setuid", "exit:7"})->exit_code, 7);
  ASSERT_TRUE(AwaitExitOf(cgroup, 6));
  Keep("exec_exit", {WorkloadOf(cgroup.id())},
       {WIRE_KIND_CGROUP, WIRE_KIND_EXEC, WIRE_KIND_FORK, WIRE_KIND_EXIT, WIRE_KIND_CREDENTIAL});
}

TEST_F(RecordTest, TcpFlow) {
  ScopedCgroup cgroup = WatchedCgroup(".service");
  ASSERT_EQ(cgroup.Run({Service(), "flow:1000", "connect:1", "connect6:1"})->exit_code, 0);
  ASSERT_TRUE(AwaitExitOf(cgroup, 1));
  Keep("tcp_flow", {WorkloadOf(cgroup.id())},
       {WIRE_KIND_CGROUP, WIRE_KIND_EXEC, WIRE_KIND_FORK, WIRE_KIND_EXIT, WIRE_KIND_FLOW});
}

TEST_F(RecordTest, UdpAndDns) {
  ScopedCgroup cgroup = WatchedCgroup(".service");
  absl::StatusOr<ScopedNetns> netns = ScopedNetns::Create();
  ASSERT_TRUE(netns.ok()) << netns.status();
  absl::StatusOr<Child> child =
      Child::Spawn({{Service(), "udp-pair:100:200", "dns:spoof"}, {}, cgroup.fd(), netns->fd()});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ(child->Wait()->exit_code, 0);
  ASSERT_TRUE(AwaitExitOf(cgroup, 1));
  Keep("udp_dns", {WorkloadOf(cgroup.id())},
       {WIRE_KIND_CGROUP, WIRE_KIND_EXEC, WIRE_KIND_FORK, WIRE_KIND_EXIT, WIRE_KIND_FLOW,
        WIRE_KIND_DNS});
}

TEST_F(RecordTest, Privilege) {
  ScopedCgroup other = WatchedCgroup(".service");
  ScopedCgroup cgroup = WatchedCgroup(".service");
  absl::StatusOr<Child> target = other.Spawn({Service(), "wait"});
  ASSERT_TRUE(target.ok() && target->ReadLine().ok());
  const std::string kill = "kill:" + std::to_string(target->pid());
  ASSERT_EQ(cgroup.Run({Service(), "io-uring", kill + ":18"})->exit_code, 0);
  ASSERT_EQ(cgroup.Run({Service(), "exec:1:" + Intruder(), "io-uring", kill + ":9"})->exit_code, 0);
  ASSERT_EQ(target->Wait()->signal, SIGKILL);
  ASSERT_TRUE(AwaitExitOf(cgroup, 3));
  ASSERT_TRUE(AwaitExitOf(other, 1));
  Keep("privilege", {WorkloadOf(cgroup.id()), WorkloadOf(other.id())},
       {WIRE_KIND_CGROUP, WIRE_KIND_EXEC, WIRE_KIND_FORK, WIRE_KIND_EXIT, WIRE_KIND_PRIVILEGE});
}

TEST_F(RecordTest, Cgroup) {
  uint64_t from_number, to_number;
  std::string path;
  {
    ScopedCgroup from = WatchedCgroup(".service");
    ScopedCgroup to = WatchedCgroup(".scope");
    path = to.path();
    from_number = WorkloadOf(from.id());
    to_number = WorkloadOf(to.id());
    absl::StatusOr<Child> child = from.Spawn({Service(), "wait", "exec:1"});
    ASSERT_TRUE(child.ok() && child->ReadLine().ok());
    ASSERT_TRUE(to.Move(child->pid()).ok());
    child->CloseInput();
    ASSERT_EQ(child->Wait()->exit_code, 0);
    ASSERT_TRUE(AwaitExitOf(from, 2));
  }
  ASSERT_TRUE(Await<CgroupEvent>([&](const CgroupEvent& e) {
    return e.change == CgroupEvent::Change::kRemoved && e.path == path;
  }));
  Keep("cgroup", {from_number, to_number},
       {WIRE_KIND_CGROUP, WIRE_KIND_EXEC, WIRE_KIND_FORK, WIRE_KIND_EXIT, WIRE_KIND_MOVE});
}

class RecordFilesTest : public RecordTest {
 protected:
  void Change(ProbeOptions& options) override { options.files = true; }

  std::string Creat(const std::string& name) const { return "open:creat:" + dir_ / name; }
};

TEST_F(RecordFilesTest, Files) {
  ASSERT_TRUE(cache().WatchFiles({dir_ / "secret"}).ok());
  ASSERT_TRUE(WriteFile(dir_ / "secret", "x"));
  const std::string deep = std::string(200, 'd');
  std::filesystem::create_directories(dir_ / (deep + "/" + deep));
  ScopedCgroup cgroup = WatchedCgroup(".service");
  ASSERT_EQ(cgroup
                .Run({Service(), Creat("log"), Creat("log"), Creat("request-1.tmp"),
                      Creat("request-2.tmp"), Creat("request-3.tmp"), Creat("request-4.tmp")})
                ->exit_code,
            0);
  ASSERT_EQ(
      cgroup
          .Run({Service(), Creat("request-5.tmp"), Creat("\xff\n"), Creat(deep + "/" + deep + "/x"),
                "open:tmpfile:" + dir_.path(), "open:read:" + dir_ / "secret"})
          ->exit_code,
      0);
  ASSERT_TRUE(AwaitExitOf(cgroup, 2));
  Keep("files", {WorkloadOf(cgroup.id())},
       {WIRE_KIND_CGROUP, WIRE_KIND_EXEC, WIRE_KIND_FORK, WIRE_KIND_EXIT, WIRE_KIND_FILE});
}

}  // namespace
}  // namespace vedette::testing
