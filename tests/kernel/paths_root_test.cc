// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "agent/base/unique_fd.h"
#include "tests/kernel/probe_fixture.h"
#include "tests/support/stalling_filesystem.h"

namespace vedette::testing {
namespace {

// Programs that would like to be taken for /usr/bin/forged.
class PathsTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    std::filesystem::create_directories(jail() + "/usr/bin");
    std::filesystem::copy_file(Actor(), jail() + "/usr/bin/forged");
    Attach();
  }

  std::string jail() const { return dir_ / "jail"; }
  std::string forged() const {
    return std::filesystem::canonical(jail()).string() + "/usr/bin/forged";
  }

  ExecEvent ExecOf(std::string_view marker) {
    auto exec = AwaitExec(marker);
    EXPECT_TRUE(exec) << marker;
    return exec ? exec->body : ExecEvent();
  }

  TempDir dir_;
};

TEST_F(PathsTest, APathDoesNotEndAtARootThatTheProcessMovedTo) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result =
      cgroup.Run({"/usr/sbin/chroot", jail(), "/usr/bin/forged", "nothing:chroot"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const ExecEvent exec = ExecOf("nothing:chroot");
  EXPECT_EQ(exec.path, forged());
  EXPECT_FALSE(exec.path_elsewhere);
}

TEST_F(PathsTest, AnotherMountNamespaceIsElsewhereAndOtherCode) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({forged(), "nothing:plain"})->exit_code, 0);
  const std::string script =
      fmt::format("mount --bind {0} /usr/bin/true && exec /usr/bin/true nothing:bound", forged());
  absl::StatusOr<ChildResult> result =
      cgroup.Run({"/usr/bin/unshare", "-m", "/bin/sh", "-c", script});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const ExecEvent plain = ExecOf("nothing:plain");
  const ExecEvent bound = ExecOf("nothing:bound");
  EXPECT_FALSE(plain.path_elsewhere);
  EXPECT_EQ(bound.path, std::filesystem::canonical("/usr/bin/true").string());
  EXPECT_TRUE(bound.path_elsewhere);
  EXPECT_FALSE(bound.path_truncated);
  // The same file, and yet not the same code.
  EXPECT_EQ(plain.process.code.inode, bound.process.code.inode);
  EXPECT_NE(plain.process.code, bound.process.code);
}

TEST_F(PathsTest, ATreeThatWasTakenOutIsElsewhere) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string tree = dir_ / "tree";
  std::filesystem::create_directory(tree);
  ASSERT_EQ(mount("tmpfs", tree.c_str(), "tmpfs", 0, nullptr), 0) << strerror(errno);
  std::filesystem::create_directories(tree + "/usr/bin");
  std::filesystem::copy_file(Actor(), tree + "/usr/bin/forged");
  const UniqueFd fd(open((tree + "/usr/bin/forged").c_str(), O_PATH | O_CLOEXEC));
  ASSERT_EQ(umount2(tree.c_str(), MNT_DETACH), 0) << strerror(errno);
  ASSERT_TRUE(fd.valid());
  absl::StatusOr<ChildResult> result =
      cgroup.Run({fmt::format("/proc/{}/fd/{}", getpid(), fd.get()), "nothing:detached"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const ExecEvent exec = ExecOf("nothing:detached");
  EXPECT_EQ(exec.path, "/usr/bin/forged");
  EXPECT_TRUE(exec.path_elsewhere);
  EXPECT_EQ(exec.filesystem, 0x01021994u);
}

// On most filesystems a name has at most 255 bytes. On FUSE it can be longer, and one of 263 bytes
// would, taken modulo 256, be called "program".
TEST_F(PathsTest, TheBeginningOfALongNameIsNotItsName) {
  if (access("/dev/fuse", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "needs fuse";
  }
  std::string error;
  const auto files = StallingFilesystem::Start({Actor(), "nobody", false}, error);
  ASSERT_NE(files, nullptr) << error;
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string name = files->direct() + std::string(256, 'x');
  for (const std::string& program : {files->direct(), name}) {
    const absl::StatusOr<ChildResult> result =
        cgroup.Run({"/usr/bin/nsenter", "-t", std::to_string(files->server()), "-m", program,
                    fmt::format("nothing:{}", program.size())});
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  }
  const ExecEvent plain = ExecOf(fmt::format("nothing:{}", files->direct().size()));
  EXPECT_FALSE(plain.path_truncated);
  EXPECT_TRUE(plain.path.ends_with("/fuse/program")) << plain.path;
  const ExecEvent longer = ExecOf(fmt::format("nothing:{}", name.size()));
  EXPECT_TRUE(longer.path_truncated);
  EXPECT_FALSE(longer.path.ends_with("/program")) << longer.path;
}

TEST_F(PathsTest, InAContainerPathsEndAtTheRootOfItsStart) {
  RuncOptions options;
  options.capabilities = {"CAP_SYS_CHROOT", "CAP_SYS_ADMIN"};
  std::unique_ptr<RuncContainer> container = WatchedContainer(options);
  std::filesystem::create_directories(container->rootfs() + "/jail/bin");
  std::filesystem::copy_file(Actor(), container->rootfs() + "/jail/bin/vedette_actor");
  absl::StatusOr<ChildResult> result = container->Exec({"/bin/vedette_actor", "nothing:inside"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  result =
      container->Exec({"/bin/busybox", "chroot", "/jail", "/bin/vedette_actor", "nothing:jailed"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  result =
      container->Exec({"/bin/busybox", "unshare", "-m", "/bin/vedette_actor", "nothing:unshared"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  struct stat root = {};
  ASSERT_EQ(stat(container->rootfs().c_str(), &root), 0);

  const ExecEvent inside = ExecOf("nothing:inside");
  EXPECT_EQ(inside.path, "/bin/vedette_actor");
  EXPECT_FALSE(inside.path_elsewhere);
  EXPECT_EQ(inside.root_inode, root.st_ino);
  const ExecEvent jailed = ExecOf("nothing:jailed");
  EXPECT_EQ(jailed.path, "/jail/bin/vedette_actor");
  EXPECT_FALSE(jailed.path_elsewhere);
  EXPECT_EQ(jailed.root_inode, root.st_ino);
  const ExecEvent unshared = ExecOf("nothing:unshared");
  EXPECT_TRUE(unshared.path_elsewhere);
  EXPECT_NE(unshared.process.code, inside.process.code);
}

TEST_F(PathsTest, WhatWasThereBeforeHasTheRootOfItsParentInTheSameCgroup) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> child =
      cgroup.Spawn({"/usr/sbin/chroot", jail(), "/usr/bin/forged", "wait"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  for (const Event& event : RunIterator("scan_processes")) {
    const auto* seen = std::get_if<ProcessSeenEvent>(&event.body);
    if (seen != nullptr && seen->process.tgid == static_cast<uint32_t>(child->pid())) {
      EXPECT_EQ(seen->path, forged());
      EXPECT_FALSE(seen->path_elsewhere);
      return;
    }
  }
  FAIL() << "the process was not seen";
}

}  // namespace
}  // namespace vedette::testing
