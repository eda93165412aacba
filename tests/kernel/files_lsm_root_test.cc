// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mount.h>

#include <filesystem>
#include <iterator>
#include <set>
#include <vector>

#include "agent/base/unique_fd.h"
#include "agent/probes/lsm_check.h"
#include "agent/probes/objects.h"
#include "tests/kernel/files_fixture.h"

namespace vedette::testing {
namespace {

using ::testing::HasSubstr;

bool HasLsm() { return CheckLsm(FindObject(EmbeddedBpfObjects(), "lsm")).ok(); }

// What only BPF LSM sees, where the kernel has it.
class FilesLsmTest : public FilesTest {
 protected:
  void SetUp() override {
    if (geteuid() == 0 && !HasLsm()) {
      GTEST_SKIP() << "needs BPF LSM";
    }
    FilesTest::SetUp();
    if (!IsSkipped()) {
      ASSERT_TRUE(IsByLsm());
    }
  }
};

TEST_F(FilesLsmTest, AnOpenByIoUringIsThatOfTheRingsOwner) {
  ScopedCgroup cgroup = WatchedCgroup();
  for (const char* how : {"uring", "uring-async", "uring-poll"}) {
    ASSERT_EQ(cgroup.Run({Actor(), fmt::format("open:{}:{}", how, Path(how))})->exit_code, 0)
        << how;
    auto made = AwaitFile(FileVerb::kCreate, how);
    ASSERT_TRUE(made) << how;
    EXPECT_EQ(made->header.hook, Hook::kLsmFileOpen);
    EXPECT_EQ(made->header.reason, Reason::kNews);
    EXPECT_EQ(made->header.slot.workload_number, WorkloadOf(cgroup.id()));
    EXPECT_EQ(made->body.process.home_cgroup_id, cgroup.id());
    EXPECT_EQ(made->body.process.comm, "vedette_actor");
  }
}

TEST_F(FilesLsmTest, AnExecutionIsNoRead) {
  const std::string program = Path("program");
  std::filesystem::copy_file(Actor(), program);
  ASSERT_TRUE(cache().WatchFiles({program}).ok());
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({program, "nothing:listed"})->exit_code, 0);
  ASSERT_TRUE(AwaitExec("nothing:listed"));
  EXPECT_EQ(News(cgroup), Strings());
  ASSERT_EQ(cgroup.Run({Actor(), "open:read:" + program})->exit_code, 0);
  EXPECT_EQ(News(cgroup), Strings{"read program"});
}

// In the opener's context it opens the file of a layer, and copies it to be written to.
TEST_F(FilesLsmTest, WhatOverlayfsOpensBelowIsNotTold) {
  for (const char* name : {"lower", "upper", "work", "merged"}) {
    std::filesystem::create_directory(Path(name));
  }
  ASSERT_TRUE(WriteFile(Path("lower/below"), "x\n"));
  ASSERT_TRUE(WriteFile(Path("lower/listed"), "x\n"));
  ASSERT_TRUE(cache().WatchFiles({Path("merged/listed"), Path("lower/listed")}).ok());
  const std::string layers =
      fmt::format("lowerdir={},upperdir={},workdir={}", Path("lower"), Path("upper"), Path("work"));
  ASSERT_EQ(mount("overlay", Path("merged").c_str(), "overlay", 0, layers.c_str()), 0)
      << strerror(errno);
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "cd merged; read a < listed; echo y >> below; echo z > new");
  ReadRings();
  Strings told;
  for (const auto& file : All<FileEvent>(
           [&](const FileEvent& f) { return f.process.home_cgroup_id == cgroup.id(); })) {
    told.push_back(fmt::format("{} {}", FileVerbName(file.body.verb), file.body.path));
  }
  EXPECT_EQ(umount2(Path("merged").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(told, (Strings{"read " + Path("merged/listed"), "write " + Path("merged/below"),
                           "create " + Path("merged/new")}));
}

// Acts are preempted by others on their processor, and each has buffers of its own.
TEST_F(FilesLsmTest, ManyWhoOpenAtOnceAreEachToldWithTheirOwn) {
  constexpr int kWriters = 5;  // With what each does to its names, less than the cache holds.
  constexpr int kNames = 6;
  constexpr int kRounds = 12;
  ScopedCgroup cgroup = WatchedCgroup();
  std::multiset<std::string> expected, told;
  for (int round = 0; round < kRounds; ++round) {
    Shell(cgroup, fmt::format("for w in $(seq {}); do (i=0; while [ $i -lt {} ]; do "
                              "echo x > \"by$w.$i\"; i=$((i+1)); done) & done; wait",
                              kWriters, kNames));
    ReadRings();
    for (int w = 1; w <= kWriters; ++w) {
      for (int i = 0; i < kNames; ++i) {
        expected.insert(Path(fmt::format("by{}.{}", w, i)));
      }
    }
  }
  for (const auto& file : All<FileEvent>([&](const FileEvent& f) {
         return f.process.home_cgroup_id == cgroup.id() && f.path.starts_with(at_);
       })) {
    told.insert(file.body.path);
  }
  EXPECT_THAT(told, ::testing::ContainerEq(expected));
  EXPECT_EQ(ErrorCount("no_scratch"), 0u);
}

// As many programs as the kernel attaches to one function.
class FullHook {
 public:
  void Fill() {
    const bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_LSM_MAC);
    load.attach_btf_id = static_cast<__u32>(libbpf_find_vmlinux_btf_id("file_open", BPF_LSM_MAC));
    for (;;) {
      programs_.emplace_back(
          bpf_prog_load(BPF_PROG_TYPE_LSM, "nothing", "GPL", code, std::size(code), &load));
      ASSERT_TRUE(programs_.back().valid());
      UniqueFd link(bpf_link_create(programs_.back().get(), 0, BPF_LSM_MAC, nullptr));
      if (!link.valid()) {
        break;
      }
      links_.push_back(std::move(link));
    }
    ASSERT_GT(links_.size(), 10u);
  }

 private:
  std::vector<UniqueFd> programs_, links_;
};

// Two acts on every system call where one would do are as wrong as none.
TEST_F(FilesLsmTest, WhereItCanBeAttachedNoMoreTheSystemCallsTakeItsPlace) {
  const auto links = [this] {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(probes().pin_dir() + "/links")) {
      if (entry.path().filename().string().starts_with("files_")) {
        found.insert(entry.path().filename());
      }
    }
    return found;
  };
  EXPECT_EQ(links(), std::set<std::string>{"files_lsm_open"});
  FullHook hook;
  ASSERT_NO_FATAL_FAILURE(hook.Fill());
  KillAndLoad();
  Attach();
  EXPECT_FALSE(IsByLsm());
  EXPECT_EQ(links(), std::set<std::string>{"files_sys_exit"});
  for (const ProbeStatus& probe : probes().statuses()) {
    if (probe.name == "files") {
      EXPECT_THAT(probe.note, HasSubstr("by sys_exit, which every system call pays for: the kernel "
                                        "attaches no program of BPF LSM"));
    }
  }
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "echo x > made");
  auto made = AwaitFile(FileVerb::kCreate, "made");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->header.hook, Hook::kSysExit);
  EXPECT_EQ(News(cgroup), Strings{"create made"});
}

class FilesLsmTooLateTest : public KernelTest {
 protected:
  void Change(ProbeOptions& options) override { options.files = true; }
};

TEST_F(FilesLsmTooLateTest, AHookThatFillsUpBeforeTheAttachIsNoneEither) {
  if (IsSkipped()) {
    return;
  }
  if (!HasLsm()) {
    GTEST_SKIP() << "needs BPF LSM";
  }
  FullHook hook;
  ASSERT_NO_FATAL_FAILURE(hook.Fill());
  Attach();
  for (const ProbeStatus& probe : probes().statuses()) {
    if (probe.name == "files") {
      EXPECT_TRUE(probe.ok) << probe.reason;
      EXPECT_EQ(probe.programs, Strings{"files_sys_exit"});
      EXPECT_THAT(probe.note, HasSubstr("files_lsm_open cannot be attached to lsm/file_open"));
    }
  }
}

// On any kernel.
TEST_F(FilesTest, ItIsToldByWhichHookFilesAreSeenAndWhyNotByAnother) {
  for (const ProbeStatus& probe : probes().statuses()) {
    if (probe.name != "files") {
      EXPECT_EQ(probe.note, "") << probe.name;
    } else if (HasLsm()) {
      EXPECT_EQ(probe.programs, Strings{"files_lsm_open"});
      EXPECT_THAT(probe.note, HasSubstr("by BPF LSM"));
    } else {
      EXPECT_EQ(probe.programs, Strings{"files_sys_exit"});
      EXPECT_THAT(probe.note, HasSubstr("by sys_exit, which every system call pays for: the"));
    }
  }
}

}  // namespace
}  // namespace vedette::testing
