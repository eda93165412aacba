// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/probes/file_key.h"
#include "agent/probes/process_look.h"
#include "bpf/wire/cache.h"
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

// Cgroups without processes, below one, that go with this object.
class ManyCgroups {
 public:
  explicit ManyCgroups(const ScopedCgroup& above) : above_(above.directory()) {}
  ~ManyCgroups() { RemoveAll(); }
  void Make(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      paths_.push_back(fmt::format("{}/many-{}", above_, paths_.size()));
      EXPECT_EQ(mkdir(paths_.back().c_str(), 0755), 0) << paths_.back();
    }
  }
  std::vector<uint64_t> Ids() const {
    std::vector<uint64_t> ids;
    for (const std::string& path : paths_) {
      struct stat info = {};
      EXPECT_EQ(stat(path.c_str(), &info), 0);
      ids.push_back(info.st_ino);
    }
    return ids;
  }
  void RemoveAll() {
    for (const std::string& path : paths_) {
      rmdir(path.c_str());
    }
    paths_.clear();
  }

 private:
  const std::string above_;
  std::vector<std::string> paths_;
};

TEST_F(CgroupTest, TheCgroupsOfOneWorkloadLeaveRoomForOthers) {
  absl::StatusOr<ScopedCgroup> greedy = ScopedCgroup::Create();
  ASSERT_TRUE(greedy.ok()) << greedy.status();
  const uint64_t number =
      cache().BindCgroup({greedy->id(), 0, /*inherit_below=*/true, false, false}).value_or(0);
  ManyCgroups many(*greedy);
  many.Make(WIRE_INSTANCE_SHARE + 10);
  EXPECT_EQ(ErrorCount("instance_share_used"), 10u);
  const auto of_workload = [&](uint64_t id) { return WorkloadOf(id) == number; };
  std::vector<uint64_t> ids = many.Ids();
  EXPECT_EQ(std::count_if(ids.begin(), ids.end(), of_workload), WIRE_INSTANCE_SHARE);
  absl::StatusOr<ScopedCgroup> other = ScopedCgroup::Create();
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(WorkloadOf(other->id()), 0u);
  // Nor does the agent give it more.
  for (const uint64_t id : ids) {
    if (of_workload(id)) {
      cache().NoteCgroup(id, number);
    }
  }
  EXPECT_EQ(cache().BindCgroup({ids.back(), number, true, false, false}).status().code(),
            absl::StatusCode::kResourceExhausted);

  // Those that go make room again.
  many.RemoveAll();
  for (const uint64_t id : ids) {
    cache().ForgetCgroup(id);
  }
  many.Make(5);
  ids = many.Ids();
  EXPECT_EQ(std::count_if(ids.begin(), ids.end(), of_workload), 5);
  EXPECT_EQ(ErrorCount("instance_share_used"), 10u);
}

TEST_F(CgroupTest, ACgroupWithoutRoomInTheTableTakesNothingOfItsWorkloadsShare) {
  absl::StatusOr<ScopedCgroup> parent = ScopedCgroup::Create();
  ASSERT_TRUE(parent.ok()) << parent.status();
  const uint64_t number =
      cache().BindCgroup({parent->id(), 0, /*inherit_below=*/true, false, false}).value_or(0);
  const auto charged = [&] {
    wire_workload workload = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
    return workload.instances;
  };
  const wire_instance nobody = {};
  const int table = probes().MapFd("vd_instances");
  // Cgroups that the agent's walk saw before the probe did: their numbers follow one another.
  std::vector<uint64_t> seen;
  for (uint64_t id = parent->id() + 1; id < parent->id() + 4000; ++id) {
    if (bpf_map_update_elem(table, &id, &nobody, BPF_NOEXIST) == 0) {
      seen.push_back(id);
    }
  }
  const uint32_t before = charged();
  const uint64_t errors = ErrorCount("instance_table_full");
  {
    ManyCgroups many(*parent);
    many.Make(3);
    for (const uint64_t id : many.Ids()) {
      EXPECT_TRUE(std::binary_search(seen.begin(), seen.end(), id)) << id;
    }
    EXPECT_EQ(charged(), before);
    EXPECT_EQ(ErrorCount("instance_table_full"), errors);
  }
  // And a table without room.
  uint64_t id = uint64_t{1} << 60;
  while (bpf_map_update_elem(table, &id, &nobody, BPF_NOEXIST) == 0) {
    ++id;
  }
  ManyCgroups many(*parent);
  for (uint64_t of_nobody : seen) {
    bpf_map_delete_elem(table, &of_nobody);
    uint64_t instead = ++id;
    bpf_map_update_elem(table, &instead, &nobody, BPF_NOEXIST);
  }
  many.Make(3);
  EXPECT_EQ(charged(), before);
  EXPECT_GE(ErrorCount("instance_table_full"), errors + 3);
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
  absl::StatusOr<ChildResult> result = from.Run(
      {"/bin/sh", "-c",
       "echo $$ >" + to.directory() + "/cgroup.procs; exec " + Actor() + " nothing:itself"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto exec = AwaitExec("nothing:itself");
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
