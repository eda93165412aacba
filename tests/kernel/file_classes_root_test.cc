// SPDX-License-Identifier: Apache-2.0
// Classes of files: what one entry stands for, and what it does not, condition by condition.
#include <sys/mount.h>

#include <filesystem>

#include "tests/kernel/files_fixture.h"

namespace vedette::testing {
namespace {

// Classes that are known to the kernel, of a file that a shell makes and writes.
class KnownClassTest : public FilesTest {
 protected:
  // `script` makes `name` and writes it; the path of their class ends with `shape`.
  void Know(const std::string& script, const std::string& name, const std::string& shape) {
    cgroup_.emplace(WatchedCgroup());
    Shell(*cgroup_, script);
    auto made = AwaitFile(FileVerb::kCreate, name);
    auto written = AwaitFile(FileVerb::kWrite, name);
    ASSERT_TRUE(made && written);
    EXPECT_TRUE(made->body.shape.ends_with(shape)) << made->body.shape;
    create_class_ = MakeClassKnown(*made);
    write_class_ = MakeClassKnown(*written);
  }

  Strings NewsOf(const std::string& script) { return FilesTest::NewsOf(*cgroup_, script); }

  std::optional<ScopedCgroup> cgroup_;
  CacheSlot create_class_, write_class_;
};

// The class of request-N.tmp.
class FileClassTest : public KnownClassTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (!IsSkipped()) {
      Know("echo x > request-1.tmp; echo x >> request-1.tmp", "request-1.tmp", "/request-*.tmp");
    }
  }
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

// The class of req-N/out.txt.
class DirectoryClassTest : public KnownClassTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (!IsSkipped()) {
      Know("mkdir req-1; echo x > req-1/out.txt; echo x >> req-1/out.txt", "req-1/out.txt",
           "/req-*/out.txt");
    }
  }
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

}  // namespace
}  // namespace vedette::testing
