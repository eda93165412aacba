// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>

#include "agent/probes/process_look.h"
#include "bpf/lib/process_context.h"
#include "bpf/wire/cache.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

constexpr uint32_t kMaxProcesses = 1024;
constexpr uint32_t kShare = kMaxProcesses / 4;
// No process has such a number.
constexpr uint32_t kFirstFake = 1u << 30;

// A table of processes that has no room, and what is lost and what is not.
class ProcessTableTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  void Change(ProbeOptions& options) override { options.max_processes = kMaxProcesses; }

  // Fills what is left of the table; returns how many contexts it took.
  uint32_t FillTable() {
    const process_context blank = {};
    uint32_t made = 0;
    for (; made <= kMaxProcesses; ++made) {
      const uint32_t tgid = kFirstFake + made;
      if (bpf_map_update_elem(probes().MapFd("vd_processes"), &tgid, &blank, BPF_NOEXIST) != 0) {
        break;
      }
    }
    return made;
  }

  uint32_t Charged(const ScopedCgroup& cgroup) {
    const uint64_t number = WorkloadOf(cgroup.id());
    wire_workload workload = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
    return workload.processes;
  }
};

TEST_F(ProcessTableTest, AFullTableLosesNoExecution) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_GT(FillTable(), 0u);
  ASSERT_EQ(cgroup.Run({Actor(), "nothing:full"})->exit_code, 0);
  auto exec = AwaitExec("nothing:full");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->header.reason, Reason::kNews);
  EXPECT_NE(exec->header.slot.slot, 0u);
  EXPECT_EQ(exec->header.slot.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_TRUE(exec->body.lineage_unknown);
  EXPECT_EQ(exec->body.parent_code, CodeKey());
  EXPECT_TRUE(exec->body.process.ancestors.empty());
  EXPECT_EQ(exec->body.process.home_cgroup_id, cgroup.id());
  EXPECT_EQ(exec->body.process.comm, "vedette_actor");
  // From which root is not known, so it is taken for nothing that is.
  EXPECT_TRUE(exec->body.path_elsewhere);
  EXPECT_EQ(exec->body.path, std::filesystem::canonical(Actor()).string());
  EXPECT_GT(ErrorCount("process_table_full"), 0u);
  // Known from then on, like any other.
  ASSERT_TRUE(cache().SetTap(WorkloadOf(cgroup.id()), false).ok());
  Forget();
  ASSERT_EQ(cgroup.Run({Actor(), "nothing:again"})->exit_code, 0);
  ReadRings();
  EXPECT_EQ(
      Count<ExecEvent>([&](const ExecEvent& e) { return e.process.home_cgroup_id == cgroup.id(); }),
      0u);
}

TEST_F(ProcessTableTest, AFullTableLosesNoConnection) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_GT(FillTable(), 0u);
  ASSERT_TRUE(cgroup.Run({Actor(), "connect:1"}).ok());
  auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(open);
  EXPECT_EQ(open->body.process.comm, "vedette_actor");
  EXPECT_EQ(open->header.slot.workload_number, WorkloadOf(cgroup.id()));
}

TEST_F(ProcessTableTest, TheForksOfOneWorkloadLeaveRoomForOthers) {
  ScopedCgroup greedy = WatchedCgroup();
  ScopedCgroup other = WatchedCgroup();
  const uint64_t before = ErrorCount("process_share_used");
  std::vector<Child> children;
  for (uint32_t i = 0; i < kShare + 20; ++i) {
    absl::StatusOr<Child> child = greedy.Spawn({Actor(), "pause"});
    ASSERT_TRUE(child.ok()) << child.status();
    children.push_back(*std::move(child));
  }
  EXPECT_EQ(Charged(greedy), kShare);
  EXPECT_GE(ErrorCount("process_share_used"), before + 20);
  ASSERT_EQ(other.Run({Actor(), "nothing:other"})->exit_code, 0);
  auto exec = AwaitExec("nothing:other");
  ASSERT_TRUE(exec);
  EXPECT_FALSE(exec->body.lineage_unknown);
  EXPECT_FALSE(exec->body.process.ancestors.empty());
  // What ends makes room again.
  for (Child& child : children) {
    child.Kill(SIGKILL);
  }
  EXPECT_TRUE(WaitFor([&] { return Charged(greedy) == 0; }));
  EXPECT_EQ(Charged(other), 0u);
}

TEST_F(ProcessTableTest, OfThreadsThatEndAtOnceOneTellsTheExit) {
  ScopedCgroup cgroup = WatchedCgroup();
  constexpr int kTimes = 300;
  ASSERT_EQ(cgroup.Run({Actor(), fmt::format("exit-together:{}", kTimes)})->exit_code, 0);
  auto in_cgroup = [&](const ExitEvent& e) { return e.process.home_cgroup_id == cgroup.id(); };
  auto parent = AwaitExec(fmt::format("exit-together:{}", kTimes));
  ASSERT_TRUE(parent);
  ASSERT_TRUE(AwaitExit(parent->body.process.id));
  EXPECT_EQ(Count<ExitEvent>(in_cgroup), kTimes + 1u);
  EXPECT_EQ(Charged(cgroup), 0u);
}

TEST_F(ProcessTableTest, AZombieGetsNoContext) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "exit:0"});
  ASSERT_TRUE(child.ok());
  const std::string stat = fmt::format("/proc/{}/stat", child->pid());
  ASSERT_TRUE(WaitFor([&] { return ReadFile(stat).find(") Z ") != std::string::npos; }));
  ASSERT_TRUE(WaitFor([&] { return !LookAtProcess(probes(), child->pid()).has_value(); }));
  RunIterator("scan_processes");
  EXPECT_FALSE(LookAtProcess(probes(), child->pid()).has_value());
}

}  // namespace
}  // namespace vedette::testing
