// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>

#include "agent/probes/file_key.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// An overlay on one lower directory, unmounted at the end.
class Overlay {
 public:
  explicit Overlay(const std::string& lower) {
    for (const char* name : {"upper", "work", "merged"}) {
      std::filesystem::create_directory(dir_ / name);
    }
    const std::string data =
        "lowerdir=" + lower + ",upperdir=" + dir_ / "upper" + ",workdir=" + dir_ / "work";
    mounted_ = mount("overlay", merged().c_str(), "overlay", 0, data.c_str()) == 0;
    error_ = errno;
  }
  ~Overlay() {
    if (mounted_) {
      umount2(merged().c_str(), MNT_DETACH);
    }
  }
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  bool mounted() const { return mounted_; }
  int error() const { return error_; }
  std::string merged() const { return dir_ / "merged"; }
  std::string program() const { return merged() + "/actor"; }

 private:
  TempDir dir_{"vedette-overlay"};
  bool mounted_ = false;
  int error_ = 0;
};

// Where an overlay cannot stand on another, the test's directories are on a tmpfs of their own.
class CodeTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    ASSERT_EQ(mount("tmpfs", base_.path().c_str(), "tmpfs", 0, nullptr), 0) << strerror(errno);
    old_tmpdir_ = getenv("TMPDIR") == nullptr ? "" : getenv("TMPDIR");
    setenv("TMPDIR", base_.path().c_str(), 1);
    std::filesystem::create_directory(lower());
    std::filesystem::copy_file(Actor(), lower() + "/actor");
    Attach();
  }

  void TearDown() override {
    if (old_tmpdir_.empty()) {
      unsetenv("TMPDIR");
    } else {
      setenv("TMPDIR", old_tmpdir_.c_str(), 1);
    }
    umount2(base_.path().c_str(), MNT_DETACH);
    KernelTest::TearDown();
  }

  std::string lower() const { return base_ / "lower"; }

  // Runs a program and returns its exec.
  Seen<ExecEvent> ExecOf(const ScopedCgroup& cgroup, const std::string& program,
                         const std::string& marker) {
    absl::StatusOr<ChildResult> result = cgroup.Run({program, "nothing:" + marker});
    EXPECT_TRUE(result.ok() && result->exit_code == 0);
    auto exec = AwaitExec("nothing:" + marker);
    EXPECT_TRUE(exec);
    return exec.value_or(Seen<ExecEvent>());
  }

 private:
  TempDir base_;
  std::string old_tmpdir_;
};

TEST_F(CodeTest, OneFileThroughTwoOverlaysIsOneCode) {
  ScopedCgroup cgroup = WatchedCgroup();
  Overlay one(lower());
  Overlay two(lower());
  ASSERT_TRUE(one.mounted() && two.mounted()) << strerror(one.error());
  struct stat shown_by_one = {};
  struct stat shown_by_two = {};
  ASSERT_EQ(stat(one.program().c_str(), &shown_by_one), 0);
  ASSERT_EQ(stat(two.program().c_str(), &shown_by_two), 0);
  ASSERT_NE(shown_by_one.st_dev, shown_by_two.st_dev) << "the premise of this test";

  const ExecEvent first = ExecOf(cgroup, one.program(), "one").body;
  const ExecEvent second = ExecOf(cgroup, two.program(), "two").body;
  const ExecEvent direct = ExecOf(cgroup, lower() + "/actor", "direct").body;
  EXPECT_EQ(first.process.code, second.process.code);
  EXPECT_EQ(first.process.code, direct.process.code);
  EXPECT_EQ(first.origin, CodeOrigin::kImage);
  EXPECT_EQ(second.origin, CodeOrigin::kImage);
  EXPECT_EQ(direct.origin, CodeOrigin::kHost);
  EXPECT_EQ(first.path, one.program());
  EXPECT_EQ(second.path, two.program());
}

TEST_F(CodeTest, AFileThatTheContainerWroteIsOfTheWritableLayer) {
  ScopedCgroup cgroup = WatchedCgroup();
  Overlay overlay(lower());
  ASSERT_TRUE(overlay.mounted()) << strerror(overlay.error());
  const ExecEvent image = ExecOf(cgroup, overlay.program(), "image").body;
  // Written to, the lower file is copied up: another inode, another code.
  ASSERT_EQ(chmod(overlay.program().c_str(), 0700), 0);
  const ExecEvent copied = ExecOf(cgroup, overlay.program(), "copied").body;
  EXPECT_EQ(copied.origin, CodeOrigin::kWritableLayer);
  EXPECT_NE(copied.process.code, image.process.code);
  std::filesystem::copy_file(Actor(), overlay.merged() + "/fresh");
  const ExecEvent fresh = ExecOf(cgroup, overlay.merged() + "/fresh", "fresh").body;
  EXPECT_EQ(fresh.origin, CodeOrigin::kWritableLayer);
  EXPECT_NE(fresh.process.code, copied.process.code);
}

TEST_F(CodeTest, ARewrittenFileIsOtherCode) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string program = lower() + "/actor";
  const ExecEvent before = ExecOf(cgroup, program, "before").body;
  const ExecEvent again = ExecOf(cgroup, program, "again").body;
  EXPECT_EQ(before.process.code, again.process.code);
  std::string bytes = ReadFile(program);
  bytes += "more";
  ASSERT_TRUE(WriteFile(program, bytes));
  const ExecEvent after = ExecOf(cgroup, program, "after").body;
  EXPECT_NE(after.process.code, before.process.code);
  EXPECT_EQ(after.process.code.inode, before.process.code.inode);
  EXPECT_EQ(after.process.code.size_bytes, before.process.code.size_bytes + 4);
}

TEST_F(CodeTest, LookingAtAFileDoesNotMakeItOtherCode) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string program = lower() + "/actor";
  // Since 6.13 the inode remembers that its change time was asked for.
  std::error_code error;
  std::filesystem::permissions(program, std::filesystem::perms::owner_all, error);
  const ExecEvent before = ExecOf(cgroup, program, "before").body;
  struct stat info = {};
  ASSERT_EQ(stat(program.c_str(), &info), 0);
  const ExecEvent after = ExecOf(cgroup, program, "after").body;
  EXPECT_EQ(after.process.code, before.process.code);
  EXPECT_EQ(after.process.code.change_time_ns,
            static_cast<uint64_t>(info.st_ctim.tv_sec) * 1'000'000'000u +
                static_cast<uint64_t>(info.st_ctim.tv_nsec));
}

TEST_F(CodeTest, TheAgentGetsTheKeyOfAnOpenFileFromTheKernel) {
  ScopedCgroup cgroup = WatchedCgroup();
  Overlay overlay(lower());
  ASSERT_TRUE(overlay.mounted()) << strerror(overlay.error());
  const ExecEvent exec = ExecOf(cgroup, overlay.program(), "key").body;
  const UniqueFd fd(open(overlay.program().c_str(), O_RDONLY | O_CLOEXEC));
  absl::StatusOr<CodeKey> key = ReadFileKey(probes(), fd.get());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(*key, exec.process.code);
  EXPECT_FALSE(ReadFileKey(probes(), 4095).ok());
}

}  // namespace
}  // namespace vedette::testing
