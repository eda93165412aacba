// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include "agent/probes/file_key.h"
#include "agent/probes/process_look.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

class CgroupTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  std::optional<Seen<CgroupEvent>> AwaitChange(CgroupEvent::Change change, std::string path) {
    return Await<CgroupEvent>(
        [&](const CgroupEvent& e) { return e.change == change && e.path == path; });
  }
  std::optional<Seen<MoveEvent>> AwaitMoveOf(pid_t pid) {
    return Await<MoveEvent>(
        [pid](const MoveEvent& e) { return e.process.tgid == static_cast<uint32_t>(pid); });
  }
};

TEST_F(CgroupTest, ACgroupIsToldWhenItIsMadeAndWhenItGoes) {
  std::string path;
  uint64_t id;
  uint64_t workload;
  {
    absl::StatusOr<ScopedCgroup> cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    path = cgroup->path();
    id = cgroup->id();
    auto made = AwaitChange(CgroupEvent::Change::kCreated, path);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->body.cgroup_id, id);
    EXPECT_EQ(made->body.parent_id, root_id());
    workload = made->body.workload_number;
    EXPECT_NE(workload, 0u);
    EXPECT_EQ(WorkloadOf(id), workload);
    EXPECT_EQ(made->header.reason, Reason::kContext);
  }
  auto removed = AwaitChange(CgroupEvent::Change::kRemoved, path);
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->body.cgroup_id, id);
  EXPECT_EQ(removed->body.workload_number, workload);
}

TEST_F(CgroupTest, EachCgroupGetsANumberOfItsOwnUnlessItsParentGivesIts) {
  absl::StatusOr<ScopedCgroup> parent = ScopedCgroup::Create();
  ASSERT_TRUE(parent.ok()) << parent.status();
  absl::StatusOr<ScopedCgroup> other = ScopedCgroup::Create(parent->path());
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(WorkloadOf(parent->id()), WorkloadOf(other->id()));
  absl::StatusOr<uint64_t> number =
      cache().BindCgroup({parent->id(), 0, /*inherit_below=*/true, false, false});
  ASSERT_TRUE(number.ok()) << number.status();
  absl::StatusOr<ScopedCgroup> inside = ScopedCgroup::Create(parent->path());
  ASSERT_TRUE(inside.ok()) << inside.status();
  auto made = AwaitChange(CgroupEvent::Change::kCreated, inside->path());
  ASSERT_TRUE(made);
  EXPECT_EQ(made->body.workload_number, *number);
  EXPECT_EQ(made->body.parent_id, parent->id());
  EXPECT_EQ(WorkloadOf(inside->id()), *number);
}

TEST_F(CgroupTest, AContainersCgroupIsKnownBeforeItsFirstProcess) {
  std::unique_ptr<RuncContainer> container = WatchedContainer();
  auto made = AwaitChange(CgroupEvent::Change::kCreated, container->cgroup_path());
  ASSERT_TRUE(made);
  EXPECT_NE(made->body.workload_number, 0u);
  auto exec = Await<ExecEvent>([&](const ExecEvent& e) {
    return e.process.tgid == static_cast<uint32_t>(container->pid()) &&
           e.path == "/bin/vedette_actor";
  });
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.cgroup_id, made->body.cgroup_id);
  EXPECT_EQ(exec->body.process.home_cgroup_id, made->body.cgroup_id);
  EXPECT_EQ(exec->body.process.workload_number, made->body.workload_number);
  EXPECT_LT(made->header.time, exec->header.time);
}

TEST_F(CgroupTest, WhoeverLeavesTheRootIsPlacedAtTheNextExec) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> child = Child::Spawn({Actor(), "wait", "become:" + Actor() + ":nothing"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  ASSERT_TRUE(cgroup.Move(child->pid()).ok());
  auto look = LookAtProcess(probes(), child->pid());
  ASSERT_TRUE(look);
  EXPECT_NE(look->home_cgroup_id, cgroup.id()) << "a move alone changes nothing";
  child->CloseInput();
  auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.cgroup_id, cgroup.id());
  EXPECT_EQ(exec->body.process.home_cgroup_id, cgroup.id());
  EXPECT_EQ(exec->body.process.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_EQ(Count<MoveEvent>([&](const MoveEvent& e) {
              return e.process.tgid == static_cast<uint32_t>(child->pid());
            }),
            0u);
}

TEST_F(CgroupTest, AnyOtherMoveKeepsTheWorkloadAndIsTold) {
  ScopedCgroup from = WatchedCgroup();
  ScopedCgroup to = WatchedCgroup();
  absl::StatusOr<Child> child = from.Spawn({Actor(), "wait", "become:" + Actor() + ":nothing"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  ASSERT_TRUE(to.Move(child->pid()).ok());
  auto move = AwaitMoveOf(child->pid());
  ASSERT_TRUE(move);
  EXPECT_EQ(move->body.to_cgroup_id, to.id());
  EXPECT_EQ(move->body.process.home_cgroup_id, from.id());
  EXPECT_EQ(move->body.mover.tgid, static_cast<uint32_t>(getpid()));
  EXPECT_FALSE(move->body.by_runtime);
  child->CloseInput();
  auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.cgroup_id, to.id());
  EXPECT_EQ(exec->body.process.home_cgroup_id, from.id());
  EXPECT_EQ(exec->body.process.workload_number, WorkloadOf(from.id()));
}

TEST_F(CgroupTest, AMoveByAListedRuntimeFromOutsideIsAPlacement) {
  ScopedCgroup from = WatchedCgroup();
  ScopedCgroup to = WatchedCgroup();
  const UniqueFd self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  absl::StatusOr<CodeKey> key = ReadFileKey(probes(), self.get());
  ASSERT_TRUE(key.ok()) << key.status();
  ASSERT_TRUE(cache().AddRuntime(*key).ok());
  absl::StatusOr<Child> child = from.Spawn({Actor(), "wait", "become:" + Actor() + ":nothing"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  ASSERT_TRUE(to.Move(child->pid()).ok());
  child->CloseInput();
  auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.home_cgroup_id, to.id());
  EXPECT_EQ(exec->body.process.workload_number, WorkloadOf(to.id()));
}

TEST_F(CgroupTest, AWorkloadThatMovesItselfStaysWhatItIs) {
  ScopedCgroup from = WatchedCgroup();
  ScopedCgroup to = WatchedCgroup();
  absl::StatusOr<ChildResult> result =
      from.Run({"/bin/sh", "-c",
                "echo $$ >" + to.directory() + "/cgroup.procs; exec " + Actor() + " nothing"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.cgroup_id, to.id());
  EXPECT_EQ(exec->body.process.workload_number, WorkloadOf(from.id()));
  auto move = AwaitMoveOf(static_cast<pid_t>(exec->body.process.tgid));
  ASSERT_TRUE(move);
  EXPECT_EQ(move->body.mover, move->body.process.id);
}

TEST_F(CgroupTest, AChildBornInAnotherCgroupIsPlacedThere) {
  ScopedCgroup cgroup = WatchedCgroup();
  // Spawn uses clone3 with CLONE_INTO_CGROUP.
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "wait"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  auto fork = Await<ForkEvent>(
      [&](const ForkEvent& e) { return e.process.tgid == static_cast<uint32_t>(child->pid()); });
  ASSERT_TRUE(fork);
  EXPECT_EQ(fork->body.process.cgroup_id, cgroup.id());
  EXPECT_EQ(fork->body.process.home_cgroup_id, cgroup.id());
  EXPECT_EQ(fork->body.process.workload_number, WorkloadOf(cgroup.id()));
}

}  // namespace
}  // namespace vedette::testing
