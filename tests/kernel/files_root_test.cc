// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "tests/kernel/files_fixture.h"

namespace vedette::testing {
namespace {

// Is any program of the set attached where every system call of everybody passes?
size_t ProgramsOnEverySyscall(const ProbeSet& probes) {
  size_t found = 0;
  const int enter = libbpf_find_vmlinux_btf_id("sys_enter", BPF_TRACE_RAW_TP);
  const int exit = libbpf_find_vmlinux_btf_id("sys_exit", BPF_TRACE_RAW_TP);
  EXPECT_GT(enter, 0);
  EXPECT_GT(exit, 0);
  for (const auto& [name, fd] : probes.ProgramFds()) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0) << name;
    const int at = static_cast<int>(info.attach_btf_id);
    found += info.type == BPF_PROG_TYPE_TRACING && (at == enter || at == exit);
  }
  return found;
}

size_t LinksOfFiles(const std::string& pin_dir) {
  size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(pin_dir)) {
    found +=
        entry.path().filename() == "files_sys_exit" || entry.path().filename() == "files_lsm_open";
  }
  return found;
}

class FilesOffTest : public KernelTest {};

TEST_F(FilesOffTest, NothingIsAttachedToSyscalls) {
  Attach();
  EXPECT_EQ(ProgramsOnEverySyscall(probes()), 0u);
  EXPECT_EQ(LinksOfFiles(options().pin_dir), 0u);
  EXPECT_EQ(probes().MapFd("vd_ring_file"), -1);
}

TEST_F(FilesTest, AFileThatIsMadeIsToldAndThenCounted) {
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "echo x > made");
  auto made = AwaitFile(FileVerb::kCreate, "made");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->header.reason, Reason::kNews);
  EXPECT_EQ(made->header.hook, ItsHook());
  EXPECT_EQ(made->header.slot.cache, 2u);
  EXPECT_NE(made->header.slot.slot, 0u);
  EXPECT_EQ(made->header.slot.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_EQ(made->body.process.comm, "sh");
  EXPECT_EQ(made->body.process.home_cgroup_id, cgroup.id());
  EXPECT_TRUE(S_ISREG(made->body.mode));
  EXPECT_EQ(made->body.links, 1u);
  EXPECT_NE(made->body.filesystem, 0u);
  EXPECT_FALSE(made->body.path_truncated);
  EXPECT_FALSE(made->body.path_elsewhere);
  EXPECT_EQ(made->body.class_key, "") << "the name stands for itself";

  // The same name made again is the same behaviour, though it is another inode.
  EXPECT_EQ(NewsOf(cgroup, "rm made; echo x > made; rm made; echo x > made"), Strings());
  EXPECT_EQ(ActsOf(made->header.slot), 3u);
  EXPECT_EQ(Count<FileEvent>([&](const FileEvent& f) { return f.path == Path("made"); }), 2u)
      << "the tap is told of what is known";
}

TEST_F(FilesTest, AFileThatWasThereIsWritten) {
  ASSERT_TRUE(WriteFile(Path("there"), "x"));
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "echo y >> there; echo y > there");
  auto written = AwaitFile(FileVerb::kWrite, "there");
  ASSERT_TRUE(written);
  EXPECT_EQ(News(cgroup), Strings{"write there"});
  EXPECT_EQ(ActsOf(written->header.slot), 2u);
  // Another file under the name is another object.
  EXPECT_EQ(NewsOf(cgroup, "echo z > new && mv new there && echo y > there"),
            (Strings{"create new", "write there"}));
}

TEST_F(FilesTest, OnlyListedFilesAreToldWhenTheyAreRead) {
  std::filesystem::create_directory(Path("other"));
  // The bit of "secret" is that of "served", too.
  for (const char* name : {"secret", "plain", "served", "other/secret"}) {
    ASSERT_TRUE(WriteFile(Path(name), "x\n"));
  }
  ScopedCgroup cgroup = WatchedCgroup();
  EXPECT_EQ(
      NewsOf(cgroup, "read a < plain; read a < served; read a < other/secret; read a < secret"),
      Strings{"read secret"});
  // Neither a known one nor a handle that cannot be read from is news.
  EXPECT_EQ(NewsOf(cgroup, "read a < secret"), Strings());
  Forget();
  ASSERT_EQ(cgroup.Run({Actor(), "open:path:" + Path("secret")})->exit_code, 0);
  EXPECT_EQ(News(cgroup), Strings());
  // The list can be changed.
  ASSERT_TRUE(cache().WatchFiles({Path("plain")}).ok());
  EXPECT_EQ(NewsOf(cgroup, "read a < plain"), Strings{"read plain"});
}

TEST_F(FilesTest, EveryWayToOpenIsSeen) {
  ScopedCgroup cgroup = WatchedCgroup();
  Strings expected;
  for (const char* how : {"creat", "openat2", "read-create", "compat"}) {
    ASSERT_EQ(cgroup.Run({Actor(), fmt::format("open:{}:{}", how, Path(how))})->exit_code, 0)
        << how;
    expected.push_back(fmt::format("create {}", how));
  }
  ASSERT_TRUE(WriteFile(Path("handle"), "x"));
  Shell(cgroup, fmt::format("exec {} open:handle:{}", Actor(), Path("handle")));
  expected.push_back("write handle");
  EXPECT_EQ(News(cgroup), expected);
}

TEST_F(FilesTest, AFileWithoutANameIsItsDirectorys) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "open:tmpfile:" + at_})->exit_code, 0);
  auto made = Await<FileEvent>([&](const FileEvent& f) { return f.unnamed; });
  ASSERT_TRUE(made);
  EXPECT_EQ(made->body.path, at_);
  EXPECT_EQ(made->body.verb, FileVerb::kCreate);
  EXPECT_EQ(made->header.reason, Reason::kNews);
  EXPECT_EQ(made->body.class_key, "");
  // Another one is the same behaviour.
  Forget();
  ASSERT_EQ(cgroup.Run({Actor(), "open:tmpfile:" + at_})->exit_code, 0);
  auto again = Await<FileEvent>([&](const FileEvent& f) { return f.unnamed; });
  ASSERT_TRUE(again);
  EXPECT_EQ(again->header.reason, Reason::kTap);
}

TEST_F(FilesTest, WhatKeepsNothingIsNotTold) {
  ScopedCgroup cgroup = WatchedCgroup();
  Forget();
  Shell(cgroup, "echo x > /dev/null; echo x > /dev/zero; true | cat > /dev/null");
  ReadRings();
  EXPECT_EQ(Count<FileEvent>([&](const FileEvent& f) { return f.path.starts_with("/dev/"); }), 0u);
}

TEST_F(FilesTest, APathInAContainerIsFromItsRoot) {
  std::unique_ptr<RuncContainer> container = WatchedContainer();
  absl::StatusOr<ChildResult> result =
      container->Exec({"/bin/busybox", "sh", "-c", "echo x > /made-inside"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto made = Await<FileEvent>([](const FileEvent& f) { return f.path == "/made-inside"; });
  ASSERT_TRUE(made);
  EXPECT_EQ(made->body.verb, FileVerb::kCreate);
  EXPECT_FALSE(made->body.path_elsewhere);
}

TEST_F(FilesTest, WhatIsTakenBackIsNewsAgain) {
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "echo x > one; echo x > other");
  auto one = AwaitFile(FileVerb::kCreate, "one");
  auto other = AwaitFile(FileVerb::kCreate, "other");
  ASSERT_TRUE(one && other);
  for (const auto& seen : {*one, *other}) {
    ASSERT_TRUE(cache().MarkKnown(seen.header.slot, seen.header.cache_key).ok());
  }
  absl::Status forgotten = cache().Forget({one->header.slot});
  ASSERT_TRUE(forgotten.ok()) << forgotten;
  EXPECT_EQ(NewsOf(cgroup, "rm one other; echo x > one; echo x > other"), Strings{"create one"});
}

TEST_F(FilesTest, NamesThatAreManyLeaveExecutionsTheirRoom) {
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "i=0; while [ $i -lt 100 ]; do echo x > name$i; i=$((i+1)); done");
  auto overflow = Await<OverflowEvent>([](const OverflowEvent& o) { return o.cache == 2; });
  ASSERT_TRUE(overflow);
  EXPECT_EQ(overflow->body.workload_number, WorkloadOf(cgroup.id()));
  ASSERT_EQ(cgroup.Run({Actor(), "nothing"})->exit_code, 0);
  auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->header.reason, Reason::kNews);
}

// The cache of a workload holds few names here, and what makes room for others.
class FileRoomTest : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (!IsSkipped()) {
      cgroup_.emplace(WatchedCgroup());
    }
  }

  // Makes files anew, in the order of their names.
  std::string Make(const Strings& names) const {
    return fmt::format("for i in {0}; do rm -f $i; echo x > $i; done", fmt::join(names, " "));
  }

  // Judges what was made, as the agent does.
  void MarkKnown(const Strings& names) {
    for (const std::string& name : names) {
      auto made = AwaitFile(FileVerb::kCreate, name);
      ASSERT_TRUE(made) << name;
      ASSERT_TRUE(cache().MarkKnown(made->header.slot, made->header.cache_key).ok()) << name;
      slots_[name] = made->header.slot;
    }
  }

  VerdictCache::DroppedFiles Drop(size_t keep, size_t limit) {
    absl::StatusOr<VerdictCache::DroppedFiles> dropped =
        cache().DropFiles(WorkloadOf(cgroup_->id()), keep, limit);
    EXPECT_TRUE(dropped.ok()) << dropped.status();
    return dropped.ok() ? *dropped : VerdictCache::DroppedFiles();
  }

  std::optional<ScopedCgroup> cgroup_;
  std::map<std::string, CacheSlot> slots_;
};

TEST_F(FileRoomTest, WhatWasUsedTheLongestAgoMakesRoom) {
  const Strings names = {"aa", "bb", "cc", "dd", "ee", "ff"};
  Shell(*cgroup_, Make(names));
  MarkKnown(names);
  EXPECT_EQ(NewsOf(*cgroup_, Make({"aa", "cc"})), Strings());
  EXPECT_EQ(cache().FileEntries(WorkloadOf(cgroup_->id())), 6u);

  const VerdictCache::DroppedFiles dropped = Drop(3, 100);
  EXPECT_EQ(dropped.left, 3u);
  EXPECT_EQ(dropped.slots, (std::vector<CacheSlot>{slots_["bb"], slots_["dd"], slots_["ee"]}));
  EXPECT_EQ(cache().WithoutEntry(WorkloadOf(cgroup_->id()), {slots_["aa"], slots_["bb"]}),
            std::vector<CacheSlot>{slots_["bb"]});
  EXPECT_EQ(NewsOf(*cgroup_, Make(names)), (Strings{"create bb", "create dd", "create ee"}));
  // Nor more than was asked for.
  EXPECT_EQ(Drop(0, 2).slots.size(), 2u);
}

TEST_F(FileRoomTest, WhatNobodyHasJudgedStays) {
  Shell(*cgroup_, Make({"aa", "bb", "cc"}));
  MarkKnown({"bb"});
  EXPECT_EQ(Drop(0, 100).slots, std::vector<CacheSlot>{slots_["bb"]});
  EXPECT_EQ(NewsOf(*cgroup_, Make({"aa", "bb", "cc"})), Strings{"create bb"});
}

TEST_F(FileRoomTest, WhatADroppedEntryHasCountedIsReadOnceMore) {
  Shell(*cgroup_, Make({"aa"}));
  MarkKnown({"aa"});
  Shell(*cgroup_, Make({"aa", "aa"}));
  ASSERT_EQ(Drop(0, 100).slots.size(), 1u);
  EXPECT_EQ(ActsOf(slots_["aa"]), 3u);
  cache().ForgetCounts({slots_["aa"]});
  EXPECT_EQ(ActsOf(slots_["aa"]), 0u);
}

TEST_F(FileRoomTest, AFullCacheTakesInAgainWhatIsNewOnceThereIsRoom) {
  Strings names;
  for (char c = 'a'; c <= 'z'; ++c) {
    for (const char* end : {"x", "y", "z"}) {
      names.push_back(fmt::format("{}{}", c, end));
    }
  }
  Shell(*cgroup_, Make(names));
  ASSERT_TRUE(Await<OverflowEvent>([](const OverflowEvent& o) { return o.cache == kFileCache; }));
  const Strings told = News(*cgroup_);
  ASSERT_LT(told.size(), names.size());
  const auto is_full = [&] {
    for (const FullWorkload& workload : cache().FullWorkloads()) {
      if (workload.number == WorkloadOf(cgroup_->id())) {
        return workload.full[kFileCache];
      }
    }
    return false;
  };
  EXPECT_TRUE(is_full());
  Strings known;
  for (const std::string& act : told) {
    known.push_back(act.substr(act.find(' ') + 1));
  }
  MarkKnown(known);
  Drop(0, 100);
  EXPECT_TRUE(WaitFor([&] { return NewsOf(*cgroup_, Make({"late"})).size() == 1; }));
  EXPECT_FALSE(is_full());
  EXPECT_EQ(NewsOf(*cgroup_, Make({"later", "last"})), (Strings{"create later", "create last"}));
}

TEST_F(FilesTest, WhatFindsNoRoomInTheRingIsSwept) {
  ScopedCgroup cgroup = WatchedCgroup();
  // A cache holds fewer names than the ring records, so many workloads fill it.
  std::vector<ScopedCgroup> many;
  const uint64_t before = ErrorCount("ring_full");
  for (int round = 0; round < 40 && ErrorCount("ring_full") == before; ++round) {
    many.push_back(WatchedCgroup());
    ASSERT_TRUE(cache().SetTap(WorkloadOf(many.back().id()), false).ok());
    Shell(many.back(), "i=0; while [ $i -lt 60 ]; do echo x > name$i; i=$((i+1)); done");
  }
  ASSERT_GT(ErrorCount("ring_full"), before);
  ASSERT_TRUE(cache().SetTap(WorkloadOf(cgroup.id()), false).ok());
  Shell(cgroup, "echo x > lost");
  size_t found = 0;
  for (const Event& event :
       cache().Sweep(/*also_reported=*/false, [](const CacheSlot&) { return false; })) {
    const auto* file = std::get_if<FileEvent>(&event.body);
    if (file != nullptr && event.header.slot.workload_number == WorkloadOf(cgroup.id())) {
      EXPECT_EQ(file->verb, FileVerb::kCreate);
      EXPECT_EQ(file->path, "");
      EXPECT_NE(file->lost, "");
      EXPECT_TRUE(cache().MarkKnown(event.header.slot, event.header.cache_key).ok());
      ++found;
    }
  }
  EXPECT_EQ(found, 1u);
}

class FilesLaterOffTest : public FilesTest {};

TEST_F(FilesLaterOffTest, AnAgentWithTheProbeOffTakesOverNoProgramOfOneThatHadItOn) {
  EXPECT_EQ(ProgramsOnEverySyscall(probes()), IsByLsm() ? 0u : 1u);
  EXPECT_EQ(LinksOfFiles(options().pin_dir), 1u);
  ProbeOptions off = options();
  off.files = false;
  KillAgent();
  absl::StatusOr<std::unique_ptr<ProbeSet>> next = ProbeSet::Load(off);
  ASSERT_TRUE(next.ok()) << next.status();
  (*next)->Attach();
  EXPECT_TRUE((*next)->adopted());
  EXPECT_EQ(LinksOfFiles(options().pin_dir), 0u);
  EXPECT_EQ(ProgramsOnEverySyscall(**next), 0u);
}

}  // namespace
}  // namespace vedette::testing
