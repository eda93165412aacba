// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <signal.h>

#include "agent/base/unique_fd.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// Modules cannot be tried where the kernel has none: tests/vm does that.
class PrivilegeTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // No tap: what is told is news.
  ScopedCgroup NewCgroup() {
    absl::StatusOr<ScopedCgroup> cgroup = ScopedCgroup::Create("/");
    EXPECT_TRUE(cgroup.ok()) << cgroup.status();
    cache().PrepareWorkloads().IgnoreError();
    return *std::move(cgroup);
  }

  std::vector<Seen<PrivilegeEvent>> ActsIn(uint64_t cgroup_id, PrivilegeAct act) {
    return All<PrivilegeEvent>([&](const PrivilegeEvent& e) {
      return e.act == act && e.process.home_cgroup_id == cgroup_id;
    });
  }
  std::vector<Seen<PrivilegeEvent>> SignalsOf(const ScopedCgroup& cgroup) {
    return ActsIn(cgroup.id(), PrivilegeAct::kSignal);
  }

  // A process that waits for a signal, and has begun to.
  Child Waiting(const ScopedCgroup& cgroup) {
    absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "wait"});
    EXPECT_TRUE(child.ok()) << child.status();
    EXPECT_TRUE(child->ReadLine().ok());
    return *std::move(child);
  }

  static std::string Kill(const Child& target, std::string_view rest) {
    return fmt::format("kill:{}:{}", target.pid(), rest);
  }
};

TEST_F(PrivilegeTest, TheFirstIoUringOfAProgramIsTold) {
  ScopedCgroup cgroup = NewCgroup();
  absl::StatusOr<ChildResult> ran = cgroup.Run({Actor(), "io-uring", "io-uring"});
  ASSERT_TRUE(ran.ok()) << ran.status();
  if (ran->exit_code != 0) {
    GTEST_SKIP() << "needs io_uring: " << ran->err;
  }
  const auto made = ActsIn(cgroup.id(), PrivilegeAct::kIoUring);
  ASSERT_EQ(made.size(), 1u) << "the second one is no news";
  EXPECT_EQ(made[0].header.reason, Reason::kNews);
  EXPECT_NE(made[0].header.slot.slot, 0u);
  EXPECT_EQ(made[0].body.process.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_EQ(made[0].body.process.comm, "vedette_actor");
  EXPECT_NE(made[0].body.process.code, CodeKey());
  ASSERT_TRUE(cgroup.Run({Actor(), "io-uring"}).ok());
  EXPECT_EQ(ActsIn(cgroup.id(), PrivilegeAct::kIoUring).size(), 1u) << "nor is another run";
}

TEST_F(PrivilegeTest, AnIoUringInAContainerIsTheContainers) {
  const std::unique_ptr<RuncContainer> container = WatchedContainer();
  absl::StatusOr<ChildResult> ran = container->Exec({"/bin/vedette_actor", "io-uring"});
  ASSERT_TRUE(ran.ok()) << ran.status();
  if (ran->exit_code != 0) {
    GTEST_SKIP() << "needs io_uring: " << ran->err;
  }
  const auto made = Await<PrivilegeEvent>(
      [&](const PrivilegeEvent& e) { return e.process.comm == "vedette_actor"; });
  ASSERT_TRUE(made);
  EXPECT_EQ(made->body.act, PrivilegeAct::kIoUring);
  EXPECT_EQ(made->body.process.namespaces.pid, NamespaceId(container->pid(), "pid"));
}

TEST_F(PrivilegeTest, ASignalToAProcessOfAnotherWorkloadIsTold) {
  ScopedCgroup from = NewCgroup();
  ScopedCgroup to = NewCgroup();
  Child target = Waiting(to);
  ASSERT_EQ(from.Run({Actor(), Kill(target, "9")})->exit_code, 0);
  EXPECT_EQ(target.Wait()->signal, SIGKILL);
  const auto sent = SignalsOf(from);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].body.signal, static_cast<uint32_t>(SIGKILL));
  EXPECT_EQ(sent[0].body.target.tgid, static_cast<uint32_t>(target.pid()));
  EXPECT_NE(sent[0].body.target.start_ns, 0u);
  EXPECT_EQ(sent[0].body.target_comm, "vedette_actor");
  EXPECT_EQ(sent[0].body.target_home_cgroup_id, to.id());
  EXPECT_EQ(sent[0].body.target_workload_number, WorkloadOf(to.id()));
  EXPECT_EQ(sent[0].body.process.workload_number, WorkloadOf(from.id()));
}

TEST_F(PrivilegeTest, TheSameSignalToTheSameWorkloadIsToldOnceAndAnotherAgain) {
  ScopedCgroup from = NewCgroup();
  ScopedCgroup to = NewCgroup();
  Child first = Waiting(to);
  Child second = Waiting(to);
  ASSERT_EQ(from.Run({Actor(), Kill(first, "18"), Kill(second, "18")})->exit_code, 0);
  EXPECT_EQ(SignalsOf(from).size(), 1u);
  ASSERT_EQ(from.Run({Actor(), Kill(second, "15")})->exit_code, 0);
  EXPECT_EQ(SignalsOf(from).size(), 2u);
  ScopedCgroup other = NewCgroup();
  Child third = Waiting(other);
  ASSERT_EQ(from.Run({Actor(), Kill(third, "15")})->exit_code, 0);
  EXPECT_EQ(SignalsOf(from).size(), 3u);
}

TEST_F(PrivilegeTest, ASignalIntoAContainerIsTold) {
  const std::unique_ptr<RuncContainer> container = WatchedContainer();
  ScopedCgroup from = NewCgroup();
  ASSERT_EQ(from.Run({Actor(), fmt::format("kill:{}:18", container->pid())})->exit_code, 0);
  const auto sent = SignalsOf(from);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].body.target.tgid, static_cast<uint32_t>(container->pid()));
  EXPECT_NE(sent[0].body.target_workload_number, WorkloadOf(from.id()));
}

TEST_F(PrivilegeTest, WhatStaysWithinAWorkloadOrSendsNothingIsNotTold) {
  ScopedCgroup cgroup = NewCgroup();
  ScopedCgroup other = NewCgroup();
  Child inside = Waiting(cgroup);
  Child outside = Waiting(other);
  ASSERT_EQ(
      cgroup.Run({Actor(), "kill-child:9", Kill(inside, "18"), Kill(outside, "0")})->exit_code, 0);
  // A signal that one may not send.
  const auto refused = cgroup.Run({Actor(), "setuid:65534", Kill(outside, "9")});
  ASSERT_EQ(refused->exit_code, 1) << refused->err;
  // Signals that do nothing by default.
  ASSERT_EQ(cgroup.Run({Actor(), Kill(outside, "17"), Kill(outside, "23"), Kill(outside, "28")})
                ->exit_code,
            0);
  EXPECT_THAT(SignalsOf(cgroup), ::testing::IsEmpty());
  EXPECT_TRUE(outside.Running());
}

TEST_F(PrivilegeTest, ASenderCannotPassForATimer) {
  ScopedCgroup from = NewCgroup();
  ScopedCgroup to = NewCgroup();
  Child target = Waiting(to);
  // SI_QUEUE, then what the kernel writes for timers and for finished requests.
  ASSERT_EQ(from.Run({Actor(), Kill(target, "34:-1")})->exit_code, 0);
  EXPECT_EQ(target.Wait()->signal, 34);
  EXPECT_EQ(SignalsOf(from).size(), 1u);
  Child again = Waiting(to);
  ASSERT_EQ(from.Run({Actor(), Kill(again, "9:-2")})->exit_code, 0);
  EXPECT_EQ(again.Wait()->signal, SIGKILL);
  EXPECT_EQ(SignalsOf(from).size(), 2u);
}

TEST_F(PrivilegeTest, AnActOfAProcessWithoutContextIsTold) {
  ScopedCgroup from = NewCgroup();
  ScopedCgroup to = NewCgroup();
  Child target = Waiting(to);
  absl::StatusOr<Child> sender = from.Spawn({Actor(), "wait", Kill(target, "15")});
  ASSERT_TRUE(sender.ok()) << sender.status();
  ASSERT_TRUE(sender->ReadLine().ok());
  const auto tgid = static_cast<uint32_t>(sender->pid());
  // As where the table has no room for it.
  ASSERT_EQ(bpf_map_delete_elem(probes().MapFd("vd_processes"), &tgid), 0);
  sender->CloseInput();
  ASSERT_EQ(sender->Wait()->exit_code, 0);
  const auto sent = SignalsOf(from);
  ASSERT_EQ(sent.size(), 1u);
  const ProcessContext& process = sent[0].body.process;
  EXPECT_EQ(process.tgid, tgid);
  EXPECT_EQ(process.comm, "vedette_actor");
  EXPECT_EQ(process.workload_number, WorkloadOf(from.id()));
  EXPECT_NE(process.code.inode, 0u);
  EXPECT_EQ(process.code.flags, 1u) << "its root is not known, so it is no known program";
  EXPECT_GT(ErrorCount("no_process"), 0u);
}

TEST_F(PrivilegeTest, WhatAKilledAgentKnewItsSuccessorKnows) {
  ScopedCgroup from = NewCgroup();
  ScopedCgroup to = NewCgroup();
  Child target = Waiting(to);
  ASSERT_EQ(from.Run({Actor(), Kill(target, "18")})->exit_code, 0);
  const auto sent = SignalsOf(from);
  ASSERT_EQ(sent.size(), 1u);
  ASSERT_TRUE(cache().MarkKnown(sent[0].header.slot, sent[0].header.cache_key).ok());
  KillAndLoad();
  Attach();
  Forget();
  ASSERT_EQ(from.Run({Actor(), Kill(target, "18")})->exit_code, 0);
  EXPECT_THAT(SignalsOf(from), ::testing::IsEmpty());
  ASSERT_EQ(from.Run({Actor(), Kill(target, "15")})->exit_code, 0);
  EXPECT_EQ(SignalsOf(from).size(), 1u);
}

class WithoutPrivilegeTest : public PrivilegeTest {
 protected:
  void Change(ProbeOptions& options) override { options.privilege = false; }
};

TEST_F(WithoutPrivilegeTest, WhatIsSwitchedOffIsNotLoaded) {
  for (const ProbeStatus& status : probes().statuses()) {
    EXPECT_NE(status.name, "privilege");
  }
  for (const auto& [name, fd] : probes().ProgramFds()) {
    EXPECT_FALSE(name.starts_with("privilege_")) << name;
  }
  ScopedCgroup from = NewCgroup();
  ScopedCgroup to = NewCgroup();
  Child target = Waiting(to);
  ASSERT_EQ(from.Run({Actor(), Kill(target, "9")})->exit_code, 0);
  EXPECT_EQ(target.Wait()->signal, SIGKILL);
  EXPECT_THAT(SignalsOf(from), ::testing::IsEmpty());
}

}  // namespace
}  // namespace vedette::testing
