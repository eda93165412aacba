// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>

#include "agent/probes/file_key.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// Copies of the actor that others may execute.
class CredentialTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  CodeKey KeyOf(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    absl::StatusOr<CodeKey> key = ReadFileKey(probes(), fd.get());
    EXPECT_TRUE(key.ok()) << path << ": " << key.status();
    return key.value_or(CodeKey());
  }

  std::string Copy(std::string_view name, mode_t mode) {
    EXPECT_EQ(chmod(dir_.path().c_str(), 0755), 0);
    const std::string path = dir_ / name;
    std::error_code error;
    EXPECT_TRUE(std::filesystem::copy_file(Actor(), path, error)) << error.message();
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  // The changes in this cgroup, in their order.
  std::vector<CredentialEvent> Changes(const ScopedCgroup& cgroup) {
    EXPECT_TRUE(Await<ExitEvent>(
        [&](const ExitEvent& e) { return e.process.home_cgroup_id == cgroup.id(); }));
    std::vector<CredentialEvent> changes;
    for (const Event& event : events()) {
      const auto* change = std::get_if<CredentialEvent>(&event.body);
      if (change != nullptr && change->process.home_cgroup_id == cgroup.id()) {
        changes.push_back(*change);
      }
    }
    return changes;
  }

  TempDir dir_;
};

TEST_F(CredentialTest, WhatAProgramDidBeforeItExecutedAnotherIsItsOwn) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string other = Copy("other", 0755);
  ASSERT_EQ(cgroup.Run({Actor(), "setuid:65534", "become:" + other + ":nothing"})->exit_code, 0);
  const std::vector<CredentialEvent> changes = Changes(cgroup);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].process.code, KeyOf(Actor()));
  EXPECT_EQ(changes[0].before.uid, 0u);
  EXPECT_EQ(changes[0].process.credentials.uid, 65534u);
  // The other program begins with what it was given.
  auto exec = Await<ExecEvent>([&](const ExecEvent& e) { return e.process.code == KeyOf(other); });
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.credentials.uid, 65534u);
  EXPECT_NE(exec->body.process.id, changes[0].process.id);
}

TEST_F(CredentialTest, WhatAFileGivesIsThatOfTheProgramInIt) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string gives = Copy("gives", 04755);
  // A connect is a look, too.
  ASSERT_EQ(
      cgroup.Run({Actor(), "setuid:65534", "connect:1", "become:" + gives + ":nothing"})->exit_code,
      0);
  const std::vector<CredentialEvent> changes = Changes(cgroup);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].process.code, KeyOf(Actor()));
  EXPECT_EQ(changes[1].process.code, KeyOf(gives));
  EXPECT_EQ(changes[1].before.euid, 65534u);
  EXPECT_EQ(changes[1].process.credentials.euid, 0u);
}

TEST_F(CredentialTest, PermittedCapabilitiesOfAFileAreAGain) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string gives = Copy("gives", 0755);
  // CAP_NET_RAW, permitted and not effective.
  const uint32_t capability[] = {0x02000000, 1u << 13, 0, 0, 0};
  ASSERT_EQ(setxattr(gives.c_str(), "security.capability", capability, sizeof(capability), 0), 0)
      << strerror(errno);
  ASSERT_EQ(
      cgroup.Run({Actor(), "setuid:65534", "connect:1", "become:" + gives + ":nothing"})->exit_code,
      0);
  const std::vector<CredentialEvent> changes = Changes(cgroup);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[1].process.code, KeyOf(gives));
  EXPECT_EQ(changes[1].before.cap_permitted, 0u);
  EXPECT_EQ(changes[1].process.credentials.cap_permitted, 1u << 13);
  EXPECT_EQ(changes[1].process.credentials.cap_effective, 0u);
}

TEST_F(CredentialTest, ARealGroupAloneIsAChange) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "setgid:65534"})->exit_code, 0);
  const std::vector<CredentialEvent> changes = Changes(cgroup);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].before.gid, 0u);
  EXPECT_EQ(changes[0].process.credentials.gid, 65534u);
  EXPECT_EQ(changes[0].process.credentials.egid, 0u);
}

}  // namespace
}  // namespace vedette::testing
