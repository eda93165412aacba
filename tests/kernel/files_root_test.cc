// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "tests/kernel/probe_fixture.h"

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
    found += entry.path().filename() == "files_sys_exit";
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

class FilesTest : public KernelTest {
 protected:
  void Change(ProbeOptions& options) override { options.files = true; }

  void SetUp() override {
    KernelTest::SetUp();
    std::filesystem::create_directory(at_);
    if (!IsSkipped()) {
      absl::Status watched = cache().WatchFiles({Path("secret")});
      ASSERT_TRUE(watched.ok()) << watched;
      Attach();
    }
  }

  std::string Path(const std::string& name) const { return at_ + "/" + name; }

  // Runs a shell script in the cgroup and in our directory; all opens are the shell's.
  void Shell(const ScopedCgroup& cgroup, const std::string& script) {
    absl::StatusOr<ChildResult> result =
        cgroup.Run({"/bin/sh", "-c", "cd \"$0\" && " + script, at_});
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->exit_code, 0) << result->err;
  }

  std::optional<Seen<FileEvent>> AwaitFile(FileVerb verb, const std::string& name) {
    return Await<FileEvent>(
        [&](const FileEvent& f) { return f.verb == verb && f.path == Path(name); });
  }

  // Acts of the cgroup on files of our directory that were news since the last Forget.
  std::vector<std::string> News(const ScopedCgroup& cgroup) {
    ReadRings();
    std::vector<std::string> news;
    for (const Event& event : events()) {
      const auto* file = std::get_if<FileEvent>(&event.body);
      if (file != nullptr && event.header.reason == Reason::kNews &&
          file->process.home_cgroup_id == cgroup.id() && file->path.starts_with(at_ + "/")) {
        news.push_back(
            fmt::format("{} {}", FileVerbName(file->verb), file->path.substr(at_.size() + 1)));
      }
    }
    return news;
  }

  // What of a shell script is news.
  std::vector<std::string> NewsOf(const ScopedCgroup& cgroup, const std::string& script) {
    Forget();
    Shell(cgroup, script);
    return News(cgroup);
  }

  uint64_t ActsOf(const CacheSlot& slot) {
    uint64_t acts = 0;
    absl::Status read = cache().ReadCounts([&](const CacheSlot& s, const BehaviourCount& count) {
      acts += s == slot ? count.acts : 0;
    });
    EXPECT_TRUE(read.ok()) << read;
    return acts;
  }

  // As the agent does once the profile has generalised.
  CacheSlot MakeClassKnown(const Seen<FileEvent>& seen) {
    EXPECT_FALSE(seen.body.class_key.empty());
    absl::StatusOr<CacheSlot> slot = cache().ClassSlot(seen.header.slot, seen.body.class_key);
    EXPECT_TRUE(slot.ok()) << slot.status();
    absl::Status known = cache().MarkClassKnown(*slot, seen.body.class_key);
    EXPECT_TRUE(known.ok()) << known;
    return *slot;
  }

  TempDir dir_{"vedette-files"};
  const std::string at_ = dir_ / "at";  // A name that stands for itself.
};

using Strings = std::vector<std::string>;

TEST_F(FilesTest, AFileThatIsMadeIsToldAndThenCounted) {
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "echo x > made");
  auto made = AwaitFile(FileVerb::kCreate, "made");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->header.reason, Reason::kNews);
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

// The class of what a shell makes and writes as request-N.tmp, known to the kernel.
class FileClassTest : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    cgroup_.emplace(WatchedCgroup());
    Shell(*cgroup_, "echo x > request-1.tmp; echo x >> request-1.tmp");
    auto made = AwaitFile(FileVerb::kCreate, "request-1.tmp");
    auto written = AwaitFile(FileVerb::kWrite, "request-1.tmp");
    ASSERT_TRUE(made && written);
    EXPECT_TRUE(made->body.shape.ends_with("/request-*.tmp")) << made->body.shape;
    create_class_ = MakeClassKnown(*made);
    write_class_ = MakeClassKnown(*written);
  }

  Strings NewsOf(const std::string& script) { return FilesTest::NewsOf(*cgroup_, script); }

  std::optional<ScopedCgroup> cgroup_;
  CacheSlot create_class_, write_class_;
};

TEST_F(FileClassTest, ItStandsForAllNamesOfItsShape) {
  EXPECT_EQ(NewsOf("for i in 2 33 4711; do echo x > request-$i.tmp; done"), Strings());
  EXPECT_EQ(NewsOf("for i in 2 33 4711; do echo x >> request-$i.tmp; done"), Strings());
  EXPECT_EQ(ActsOf(create_class_), 3u);
  EXPECT_EQ(ActsOf(write_class_), 3u);
}

TEST_F(FileClassTest, AnotherShapeIsNews) {
  EXPECT_EQ(NewsOf("echo x > evil.sh; echo x > request-x.tmp; echo x > request-5.tmp.sh"),
            (Strings{"create evil.sh", "create request-x.tmp", "create request-5.tmp.sh"}));
}

TEST_F(FileClassTest, AnotherDirectoryIsNews) {
  EXPECT_EQ(NewsOf("mkdir sub; echo x > sub/request-2.tmp"), Strings{"create sub/request-2.tmp"});
}

TEST_F(FileClassTest, AnotherProgramIsNews) {
  EXPECT_EQ(NewsOf("cp request-1.tmp request-2.tmp"), Strings{"create request-2.tmp"});
}

TEST_F(FileClassTest, AnotherVerbIsNews) {
  ASSERT_TRUE(cache().WatchFiles({Path("request-2.tmp")}).ok());
  EXPECT_EQ(NewsOf("echo x > request-2.tmp; read a < request-2.tmp"),
            Strings{"read request-2.tmp"});
}

TEST_F(FileClassTest, AnotherWorkloadIsNews) {
  ScopedCgroup other = WatchedCgroup();
  EXPECT_EQ(FilesTest::NewsOf(other, "echo x > request-2.tmp"), Strings{"create request-2.tmp"});
  // Nor does the class stand for what another one made.
  EXPECT_EQ(NewsOf("echo x >> request-2.tmp"), Strings{"write request-2.tmp"});
}

TEST_F(FileClassTest, AFileThatWasThereBeforeIsNews) {
  ASSERT_TRUE(WriteFile(Path("request-2.tmp"), "x"));
  EXPECT_EQ(NewsOf("echo x >> request-2.tmp"), Strings{"write request-2.tmp"});
}

TEST_F(FileClassTest, AFileWithTwoLinksIsNews) {
  EXPECT_EQ(NewsOf("echo x > request-2.tmp; ln request-2.tmp other; echo x >> request-2.tmp"),
            Strings{"write request-2.tmp"});
  // A file that was linked into the directory.
  ASSERT_TRUE(WriteFile(Path("elsewhere"), "x"));
  EXPECT_EQ(NewsOf("ln elsewhere request-3.tmp; echo x >> request-3.tmp"),
            Strings{"write request-3.tmp"});
  // And left there alone, so that it has one link again.
  EXPECT_EQ(NewsOf("ln elsewhere request-4.tmp; rm elsewhere request-3.tmp; echo >> request-4.tmp"),
            Strings{"write request-4.tmp"});
}

TEST_F(FileClassTest, AFileThatWasRenamedIntoTheDirectoryIsNews) {
  EXPECT_EQ(NewsOf("mkdir sub; echo x > sub/a; mv sub/a request-2.tmp; echo x >> request-2.tmp"),
            (Strings{"create sub/a", "write request-2.tmp"}));
  // Also from another name of the class, and from the same name of another directory.
  EXPECT_EQ(NewsOf("echo x > request-3.tmp; mv request-3.tmp request-4.tmp; echo >> request-4.tmp"),
            Strings{"write request-4.tmp"});
  EXPECT_EQ(NewsOf("echo x > sub/request-5.tmp; mv sub/request-5.tmp .; echo x >> request-5.tmp"),
            (Strings{"create sub/request-5.tmp", "write request-5.tmp"}));
}

TEST_F(FileClassTest, AFileThatIsMountedThereIsNews) {
  ASSERT_TRUE(WriteFile(Path("mounted"), "x"));
  Shell(*cgroup_, "echo x > request-2.tmp");
  ASSERT_EQ(mount(Path("mounted").c_str(), Path("request-2.tmp").c_str(), "", MS_BIND, nullptr), 0);
  EXPECT_EQ(NewsOf("echo x >> request-2.tmp"), Strings{"write request-2.tmp"});
  EXPECT_EQ(umount2(Path("request-2.tmp").c_str(), MNT_DETACH), 0);
}

TEST_F(FileClassTest, AnotherFilesystemOverTheDirectoryIsNews) {
  ASSERT_EQ(mount("tmpfs", at_.c_str(), "tmpfs", 0, nullptr), 0);
  const Strings news = NewsOf("echo x > request-2.tmp");
  EXPECT_EQ(umount2(at_.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(news, Strings{"create request-2.tmp"});
  EXPECT_EQ(NewsOf("echo x > request-2.tmp"), Strings());
}

TEST_F(FileClassTest, ASymbolicLinkIsWhatItLeadsTo) {
  EXPECT_EQ(NewsOf("mkdir sub; ln -s sub/target request-2.tmp; echo x > request-2.tmp"),
            Strings{"create sub/target"});
  EXPECT_EQ(NewsOf("echo x >> request-2.tmp"), Strings{"write sub/target"});
}

TEST_F(FileClassTest, AFileThatMayBeExecutedIsNewsAndSoIsItsExecution) {
  EXPECT_EQ(NewsOf("echo x > request-2.tmp; chmod +x request-2.tmp; echo x >> request-2.tmp"),
            Strings{"write request-2.tmp"});
  std::filesystem::copy_file(Actor(), Path("request-3.tmp"));
  Shell(*cgroup_, "./request-3.tmp nothing");
  auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->header.reason, Reason::kNews);
  EXPECT_EQ(exec->body.path, Path("request-3.tmp"));
}

TEST_F(FileClassTest, WhatIsNoRegularFileIsNews) {
  EXPECT_EQ(NewsOf("mkfifo request-2.tmp; exec 3<>request-2.tmp"), Strings{"write request-2.tmp"});
}

// The class of what a shell makes and writes as req-N/out.txt, known to the kernel.
class DirectoryClassTest : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    cgroup_.emplace(WatchedCgroup());
    Shell(*cgroup_, "mkdir req-1; echo x > req-1/out.txt; echo x >> req-1/out.txt");
    auto made = AwaitFile(FileVerb::kCreate, "req-1/out.txt");
    auto written = AwaitFile(FileVerb::kWrite, "req-1/out.txt");
    ASSERT_TRUE(made && written);
    EXPECT_TRUE(made->body.shape.ends_with("/req-*/out.txt")) << made->body.shape;
    create_class_ = MakeClassKnown(*made);
    write_class_ = MakeClassKnown(*written);
  }

  Strings NewsOf(const std::string& script) { return FilesTest::NewsOf(*cgroup_, script); }

  std::optional<ScopedCgroup> cgroup_;
  CacheSlot create_class_, write_class_;
};

TEST_F(DirectoryClassTest, ItStandsForAllDirectoriesOfItsShape) {
  EXPECT_EQ(NewsOf("for i in 2 33 4711; do mkdir req-$i; echo x > req-$i/out.txt; done"),
            Strings());
  EXPECT_EQ(NewsOf("for i in 2 33 4711; do echo x >> req-$i/out.txt; done"), Strings());
  EXPECT_EQ(ActsOf(create_class_), 3u);
  EXPECT_EQ(ActsOf(write_class_), 3u);
}

TEST_F(DirectoryClassTest, AnotherNameInThemIsNews) {
  EXPECT_EQ(NewsOf("mkdir req-2; echo x > req-2/evil.txt; echo x > req-2/out.txt.sh"),
            (Strings{"create req-2/evil.txt", "create req-2/out.txt.sh"}));
}

TEST_F(DirectoryClassTest, AnotherDirectoryIsNews) {
  EXPECT_EQ(NewsOf("mkdir other-2 req-x; echo x > other-2/out.txt; echo x > req-x/out.txt"),
            (Strings{"create other-2/out.txt", "create req-x/out.txt"}));
  EXPECT_EQ(NewsOf("mkdir sub sub/req-1; echo x > sub/req-1/out.txt; echo x > out.txt"),
            (Strings{"create sub/req-1/out.txt", "create out.txt"}));
}

TEST_F(DirectoryClassTest, NamesInThemMayBeMany) {
  Shell(*cgroup_, "mkdir req-2; echo x > req-2/part-1.txt");
  auto made = AwaitFile(FileVerb::kCreate, "req-2/part-1.txt");
  ASSERT_TRUE(made);
  MakeClassKnown(*made);
  EXPECT_EQ(NewsOf("mkdir req-3; echo x > req-3/part-7.txt; echo x > req-3/part-x.txt"),
            Strings{"create req-3/part-x.txt"});
}

TEST_F(DirectoryClassTest, AFilesystemThatIsMountedThereIsNews) {
  std::filesystem::create_directory(Path("req-2"));
  ASSERT_EQ(mount("tmpfs", Path("req-2").c_str(), "tmpfs", 0, nullptr), 0);
  const Strings news = NewsOf("echo x > req-2/out.txt");
  EXPECT_EQ(umount2(Path("req-2").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(news, Strings{"create req-2/out.txt"});
}

TEST_F(DirectoryClassTest, WhatCameWithADirectoryThatWasMovedThereIsNews) {
  EXPECT_EQ(NewsOf("mkdir sub sub/req-2; echo x > sub/req-2/out.txt; mv sub/req-2 .; "
                   "echo x >> req-2/out.txt"),
            (Strings{"create sub/req-2/out.txt", "write req-2/out.txt"}));
  EXPECT_EQ(NewsOf("mkdir plain; echo x > plain/out.txt; mv plain req-3; echo x >> req-3/out.txt"),
            (Strings{"create plain/out.txt", "write req-3/out.txt"}));
}

TEST_F(DirectoryClassTest, AFileOfOthersIsNews) {
  std::filesystem::create_directory(Path("req-2"));
  ASSERT_TRUE(WriteFile(Path("req-2/out.txt"), "x"));
  EXPECT_EQ(NewsOf("echo x >> req-2/out.txt"), Strings{"write req-2/out.txt"});
  EXPECT_EQ(NewsOf("mkdir req-3; ln req-1/out.txt req-3/out.txt; echo x >> req-3/out.txt"),
            Strings{"write req-3/out.txt"});
}

// What mkstemp makes, and compilers.
TEST_F(FilesTest, NamesThatLookRandomAreAClassAndWordsAreNot) {
  ScopedCgroup cgroup = WatchedCgroup();
  Shell(cgroup, "echo x > ccmhhchG.s");
  auto made = AwaitFile(FileVerb::kCreate, "ccmhhchG.s");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->body.shape.ends_with("/????????.s")) << made->body.shape;
  MakeClassKnown(*made);
  EXPECT_EQ(FilesTest::NewsOf(cgroup, "for i in ccXk2Qzb ccqzxvkj ccAbXdEg; do > $i.s; done"),
            Strings());
  EXPECT_EQ(
      FilesTest::NewsOf(cgroup, "> password.s; > settings.s; > Shadowed.s; > ccqzxvk.s"),
      (Strings{"create password.s", "create settings.s", "create Shadowed.s", "create ccqzxvk.s"}));
}

class FilesLaterOffTest : public FilesTest {};

TEST_F(FilesLaterOffTest, AnAgentWithTheProbeOffTakesOverNoProgramOfOneThatHadItOn) {
  EXPECT_EQ(ProgramsOnEverySyscall(probes()), 1u);
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
