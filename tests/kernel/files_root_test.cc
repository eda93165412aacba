// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>

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
    if (!IsSkipped()) {
      absl::Status watched = cache().WatchFiles({Path("secret")});
      ASSERT_TRUE(watched.ok()) << watched;
      Attach();
    }
  }

  std::string Path(const std::string& name) const { return dir_ / name; }

  // Runs a shell script in the cgroup and in our directory; all opens are the shell's.
  void Shell(const ScopedCgroup& cgroup, const std::string& script) {
    absl::StatusOr<ChildResult> result =
        cgroup.Run({"/bin/sh", "-c", "cd \"$0\" && " + script, dir_.path()});
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
          file->process.home_cgroup_id == cgroup.id() &&
          file->path.starts_with(dir_.path() + "/")) {
        news.push_back(fmt::format("{} {}", FileVerbName(file->verb),
                                   file->path.substr(dir_.path().size() + 1)));
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
  ASSERT_EQ(cgroup.Run({Actor(), "open:tmpfile:" + dir_.path()})->exit_code, 0);
  auto made = Await<FileEvent>([&](const FileEvent& f) { return f.unnamed; });
  ASSERT_TRUE(made);
  EXPECT_EQ(made->body.path, dir_.path());
  EXPECT_EQ(made->body.verb, FileVerb::kCreate);
  EXPECT_EQ(made->header.reason, Reason::kNews);
  EXPECT_EQ(made->body.class_key, "");
  // Another one is the same behaviour.
  Forget();
  ASSERT_EQ(cgroup.Run({Actor(), "open:tmpfile:" + dir_.path()})->exit_code, 0);
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
  ASSERT_EQ(mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, nullptr), 0);
  const Strings news = NewsOf("echo x > request-2.tmp");
  EXPECT_EQ(umount2(dir_.path().c_str(), MNT_DETACH), 0);
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
