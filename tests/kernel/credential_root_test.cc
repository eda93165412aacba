// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>

#include "agent/probes/file_key.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"
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

  // Spaces that looks need, as if other tasks were in the midst of one.
  void TakeSpaces(uint32_t first, uint32_t step) {
    for (const auto& [name, fd] : probes().ProgramFds()) {
      uint32_t ids[64] = {};
      bpf_prog_info info = {};
      uint32_t size = sizeof(info);
      info.map_ids = reinterpret_cast<uintptr_t>(ids);
      info.nr_map_ids = 64;
      ASSERT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
      for (uint32_t i = 0; name == "process_exit" && i < info.nr_map_ids; ++i) {
        TakeSpacesIn(UniqueFd(bpf_map_get_fd_by_id(ids[i])), first, step);
      }
    }
    EXPECT_TRUE(has_taken_);
  }

  void TakeSpacesIn(const UniqueFd& map, uint32_t first, uint32_t step) {
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(map.get(), &info, &size), 0);
    if (std::string_view(info.name) != "scratch_credent") {
      return;
    }
    for (uint32_t i = first; i < info.max_entries; i += step) {
      std::vector<char> value(info.value_size);
      const uint32_t taken = 1;
      memcpy(value.data() + info.value_size - 2 * sizeof(taken), &taken, sizeof(taken));
      EXPECT_EQ(bpf_map_update_elem(map.get(), &i, value.data(), BPF_ANY), 0);
      has_taken_ = true;
    }
  }

  uint32_t LostNewsOf(const ScopedCgroup& cgroup) {
    const uint64_t number = WorkloadOf(cgroup.id());
    wire_workload workload = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
    return workload.lost[WIRE_CACHE_CODE];
  }

  TempDir dir_;
  bool has_taken_ = false;
};

TEST_F(CredentialTest, AChangeThatNoLookFoundRoomForIsLostNews) {
  ScopedCgroup cgroup = WatchedCgroup();
  TakeSpaces(0, 1);
  const uint64_t before = ErrorCount("novelty_lost");
  // At its end.
  ASSERT_EQ(cgroup.Run({Actor(), "setuid:65534"})->exit_code, 0);
  EXPECT_EQ(LostNewsOf(cgroup), 1u);
  // When it executes another program.
  const std::string other = Copy("other", 0755);
  ASSERT_EQ(cgroup.Run({Actor(), "setuid:65534", "become:" + other + ":nothing"})->exit_code, 0);
  EXPECT_EQ(LostNewsOf(cgroup), 2u);
  EXPECT_GE(ErrorCount("novelty_lost"), before + 2);
  EXPECT_TRUE(Changes(cgroup).empty());
}

TEST_F(CredentialTest, ALookWhoseSpaceIsTakenTakesAnother) {
  ScopedCgroup cgroup = WatchedCgroup();
  // On one CPU, whose second space is that of no other one that acts here.
  cpu_set_t all, first;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  ASSERT_EQ(sched_setaffinity(0, sizeof(first), &first), 0);
  TakeSpaces(0, 16);
  const auto ran = cgroup.Run({Actor(), "setuid:65534"});
  ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
  ASSERT_TRUE(ran.ok() && ran->exit_code == 0) << ran.status();
  EXPECT_EQ(Changes(cgroup).size(), 1u);
  EXPECT_EQ(LostNewsOf(cgroup), 0u);
}

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
