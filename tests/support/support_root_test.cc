// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/child.h"
#include "tests/support/runc_container.h"
#include "tests/support/scoped_cgroup.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

std::string V2CgroupOf(pid_t pid) {
  const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/cgroup");
  const size_t at = text.find("0::");
  return at == std::string::npos ? "" : text.substr(at + 3, text.find('\n', at) - at - 3);
}

bool IsDirectory(const std::string& path) { return std::filesystem::is_directory(path); }

class SupportRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
  }
};

TEST_F(SupportRootTest, AChildIsBornInTheCgroupAndGoesWithIt) {
  std::string directory;
  auto cgroup = ScopedCgroup::Create();
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  std::optional<Child> child;
  {
    ScopedCgroup owned = std::move(*cgroup);
    directory = owned.directory();
    auto spawned = owned.Spawn({VEDETTE_ACTOR_PATH, "wait"});
    ASSERT_TRUE(spawned.ok()) << spawned.status();
    child.emplace(std::move(*spawned));
    ASSERT_TRUE(child->ReadLine().ok());
    EXPECT_EQ(V2CgroupOf(child->pid()), owned.path());
    struct stat status = {};
    ASSERT_EQ(stat(directory.c_str(), &status), 0);
    EXPECT_EQ(owned.id(), status.st_ino);
    ASSERT_EQ(mkdir((directory + "/below").c_str(), 0755), 0);
  }
  EXPECT_FALSE(IsDirectory(directory));
  EXPECT_EQ(child->Wait()->signal, SIGKILL);
}

TEST_F(SupportRootTest, CgroupsHaveTheirOwnNames) {
  auto a = ScopedCgroup::Create("/", ".service");
  auto b = ScopedCgroup::Create("/", ".service");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->path(), b->path());
  EXPECT_THAT(a->path(), EndsWith(".service"));
  auto inside = ScopedCgroup::Create(a->path());
  ASSERT_TRUE(inside.ok()) << inside.status();
  EXPECT_THAT(inside->path(), StartsWith(a->path() + "/"));
  EXPECT_FALSE(ScopedCgroup::Create("/no-such-parent").ok());
}

TEST_F(SupportRootTest, MoveMoves) {
  auto from = ScopedCgroup::Create();
  auto to = ScopedCgroup::Create();
  ASSERT_TRUE(from.ok() && to.ok());
  auto child = from->Spawn({VEDETTE_ACTOR_PATH, "wait"});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(to->Move(child->pid()).ok());
  EXPECT_EQ(V2CgroupOf(child->pid()), to->path());
}

TEST_F(SupportRootTest, NetnsHasItsOwnLoopback) {
  auto netns = ScopedNetns::Create();
  ASSERT_TRUE(netns.ok()) << netns.status();
  struct stat own = {};
  ASSERT_EQ(stat("/proc/self/ns/net", &own), 0);
  EXPECT_NE(netns->id(), own.st_ino);
  auto result = netns->Run({VEDETTE_ACTOR_PATH, "flow:100"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->err;
}

TEST_F(SupportRootTest, NetnsIsReachedOverVeth) {
  auto netns = ScopedNetns::Create();
  ASSERT_TRUE(netns.ok()) << netns.status();
  absl::Status connected = netns->ConnectToHost();
  ASSERT_TRUE(connected.ok()) << connected;
  auto links = netns->Run({"ip", "-brief", "address"});
  EXPECT_THAT(links->out, HasSubstr(netns->inside_address() + "/29"));
  auto ping = netns->Run({"/bin/busybox", "ping", "-c", "1", "-W", "5", netns->outside_address()});
  ASSERT_TRUE(ping.ok()) << ping.status();
  EXPECT_EQ(ping->exit_code, 0) << ping->out << ping->err;
}

TEST_F(SupportRootTest, ContainerRunsInItsCgroupAndIsGoneAfterwards) {
  const std::string mount = CgroupV2Mount().value();
  std::string cgroup;
  std::string bundle;
  pid_t pid;
  {
    auto container = RuncContainer::Start();
    ASSERT_TRUE(container.ok()) << container.status();
    pid = (*container)->pid();
    cgroup = mount + (*container)->cgroup_path();
    bundle = (*container)->rootfs();
    EXPECT_TRUE(IsDirectory(cgroup));
    EXPECT_EQ(V2CgroupOf(pid), (*container)->cgroup_path());
    EXPECT_THAT((*container)->cgroup_path(), HasSubstr((*container)->id()));

    auto result = (*container)->Exec({"/bin/sh", "-c", "vedette_actor exec:2 && cat /etc/passwd"});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 0) << result->err;
    EXPECT_EQ(result->out, "exec done=2\nroot:x:0:0:root:/:/bin/sh\n");

    auto spawned = (*container)->SpawnExec({"vedette_actor", "wait"});
    ASSERT_TRUE(spawned.ok()) << spawned.status();
    EXPECT_THAT(spawned->ReadLine().value_or("none"), StartsWith("wait pid="));
    spawned->CloseInput();
    EXPECT_EQ(spawned->Wait()->exit_code, 0);
    EXPECT_EQ((*container)->Exec({"sh", "-c", "exit 9"})->exit_code, 9);
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_FALSE(IsDirectory(cgroup));
  EXPECT_FALSE(IsDirectory(mount + "/vedette-test"));
  EXPECT_FALSE(IsDirectory(bundle));
}

TEST_F(SupportRootTest, ContainerCanHaveItsOwnNetwork) {
  RuncOptions options;
  options.host_network = false;
  auto container = RuncContainer::Start(options);
  ASSERT_TRUE(container.ok()) << container.status();
  struct stat own = {};
  struct stat inside = {};
  ASSERT_EQ(stat("/proc/self/ns/net", &own), 0);
  const std::string path = "/proc/" + std::to_string((*container)->pid()) + "/ns/net";
  ASSERT_EQ(stat(path.c_str(), &inside), 0);
  EXPECT_NE(own.st_ino, inside.st_ino);
}

TEST_F(SupportRootTest, AContainerThatCannotStartSaysWhyAndLeavesNothing) {
  RuncOptions options;
  options.capabilities = {"CAP_NO_SUCH"};
  options.files = {"/no/such/file"};
  auto container = RuncContainer::Start(options);
  EXPECT_THAT(std::string(container.status().message()), HasSubstr("/no/such/file"));
  EXPECT_FALSE(IsDirectory(CgroupV2Mount().value() + "/vedette-test"));
}

}  // namespace
}  // namespace vedette::testing
