// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include "agent/probes/kernel_hooks.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

constexpr uint32_t kCapChown = 0;
constexpr uint32_t kCapNetRaw = 13;
constexpr uint32_t kCapSysAdmin = 21;

class CapabilityTest : public KernelTest {
 protected:
  void Change(ProbeOptions& options) override { options.capabilities = true; }

  void SetUp() override {
    if (ProgramsWithoutHook().contains("capability_used")) {
      GTEST_SKIP() << "needs cap_capable";
    }
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // No tap: what is told is news.
  ScopedCgroup NewCgroup() {
    absl::StatusOr<ScopedCgroup> cgroup = ScopedCgroup::Create("/");
    EXPECT_TRUE(cgroup.ok()) << cgroup.status();
    cache().PrepareWorkloads().IgnoreError();
    return *std::move(cgroup);
  }

  std::vector<Seen<PrivilegeEvent>> UsesOf(const ScopedCgroup& cgroup, uint32_t capability) {
    return All<PrivilegeEvent>([&](const PrivilegeEvent& e) {
      return e.act == PrivilegeAct::kCapability && e.capability == capability &&
             e.process.home_cgroup_id == cgroup.id();
    });
  }

  bool HasProbe(std::string_view name) {
    for (const ProbeStatus& status : probes().statuses()) {
      if (status.name == name) {
        return true;
      }
    }
    return false;
  }

  // How many raw sockets were opened, each by CAP_NET_RAW.
  static long OpenRaw(const ScopedCgroup& cgroup, std::vector<std::string> before = {}) {
    std::vector<std::string> argv = {Actor()};
    argv.insert(argv.end(), before.begin(), before.end());
    argv.push_back("raw-socket:3");
    absl::StatusOr<ChildResult> ran = cgroup.Run(argv);
    EXPECT_TRUE(ran.ok()) << ran.status();
    EXPECT_EQ(ran->exit_code, 0) << ran->err;
    return NumberIn(ran->out, "opened");
  }
};

TEST_F(CapabilityTest, TheFirstUseByAWorkloadIsToldAndNoOther) {
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup), 3);
  const auto uses = UsesOf(cgroup, kCapNetRaw);
  ASSERT_EQ(uses.size(), 1u);
  EXPECT_EQ(uses[0].header.reason, Reason::kNews);
  EXPECT_NE(uses[0].header.slot.slot, 0u);
  EXPECT_FALSE(uses[0].body.in_user_namespace);
  EXPECT_EQ(uses[0].body.process.comm, "vedette_actor");
  EXPECT_EQ(uses[0].body.process.workload_number, WorkloadOf(cgroup.id()));
  ASSERT_EQ(OpenRaw(cgroup), 3);
  EXPECT_EQ(UsesOf(cgroup, kCapNetRaw).size(), 1u);
  ScopedCgroup other = NewCgroup();
  ASSERT_EQ(OpenRaw(other), 3);
  EXPECT_EQ(UsesOf(other, kCapNetRaw).size(), 1u);
}

TEST_F(CapabilityTest, WhatIsRefusedIsNotToldNorIsCapSysAdmin) {
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup, {"setuid:65534"}), 0);
  EXPECT_THAT(UsesOf(cgroup, kCapNetRaw), ::testing::IsEmpty());
  // The accounting of memory has asked for it at the exec.
  EXPECT_THAT(UsesOf(cgroup, kCapSysAdmin), ::testing::IsEmpty());
  // And yet a grant after the refusal is news.
  ASSERT_EQ(OpenRaw(cgroup), 3);
  EXPECT_EQ(UsesOf(cgroup, kCapNetRaw).size(), 1u);
}

TEST_F(CapabilityTest, InAUserNamespaceItIsAnotherUse) {
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup, {"user-namespace"}), 3);
  auto uses = UsesOf(cgroup, kCapNetRaw);
  ASSERT_EQ(uses.size(), 1u);
  EXPECT_TRUE(uses[0].body.in_user_namespace);
  ASSERT_EQ(OpenRaw(cgroup), 3);
  uses = UsesOf(cgroup, kCapNetRaw);
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_FALSE(uses[1].body.in_user_namespace);
}

TEST_F(CapabilityTest, AUseInAContainerIsTheContainers) {
  RuncOptions options;
  options.capabilities = {"CAP_NET_RAW"};
  const std::unique_ptr<RuncContainer> container = WatchedContainer(options);
  absl::StatusOr<ChildResult> ran = container->Exec({"/bin/vedette_actor", "raw-socket"});
  ASSERT_TRUE(ran.ok()) << ran.status();
  ASSERT_EQ(NumberIn(ran->out, "opened"), 1) << ran->err;
  const auto use = Await<PrivilegeEvent>([&](const PrivilegeEvent& e) {
    return e.act == PrivilegeAct::kCapability && e.capability == kCapNetRaw &&
           e.process.namespaces.pid == NamespaceId(container->pid(), "pid");
  });
  EXPECT_TRUE(use);
}

TEST_F(CapabilityTest, WhatAKilledAgentKnewItsSuccessorKnows) {
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup), 3);
  const auto uses = UsesOf(cgroup, kCapNetRaw);
  ASSERT_EQ(uses.size(), 1u);
  ASSERT_TRUE(cache().MarkKnown(uses[0].header.slot, uses[0].header.cache_key).ok());
  KillAndLoad();
  Attach();
  Forget();
  ASSERT_EQ(OpenRaw(cgroup), 3);
  EXPECT_THAT(UsesOf(cgroup, kCapNetRaw), ::testing::IsEmpty());
}

TEST_F(CapabilityTest, WhatWasReportedAndNotJudgedIsFoundByTheSuccessor) {
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup), 3);
  ASSERT_EQ(UsesOf(cgroup, kCapNetRaw).size(), 1u);
  KillAndLoad();
  size_t found = 0;
  for (const Event& event : cache().Sweep(/*also_reported=*/true, [](auto&) { return false; })) {
    const auto* act = std::get_if<PrivilegeEvent>(&event.body);
    found += act != nullptr && act->capability == kCapNetRaw &&
             act->process.workload_number == WorkloadOf(cgroup.id());
  }
  EXPECT_EQ(found, 1u);
}

TEST_F(CapabilityTest, WhatIsTakenBackOrForgottenIsToldAgain) {
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup), 3);
  auto uses = UsesOf(cgroup, kCapNetRaw);
  ASSERT_EQ(uses.size(), 1u);
  ASSERT_TRUE(cache().Forget({uses[0].header.slot}).ok());
  ASSERT_EQ(OpenRaw(cgroup), 3);
  uses = UsesOf(cgroup, kCapNetRaw);
  ASSERT_EQ(uses.size(), 2u);
  ASSERT_TRUE(cache().MarkKnown(uses[1].header.slot, uses[1].header.cache_key).ok());
  ASSERT_TRUE(cache().TellAgain(uses[1].header.slot, uses[1].header.cache_key).ok());
  ASSERT_EQ(OpenRaw(cgroup), 3);
  EXPECT_EQ(UsesOf(cgroup, kCapNetRaw).size(), 3u);
  // The bits of other capabilities are where they were.
  EXPECT_LE(UsesOf(cgroup, kCapChown).size(), 1u);
}

TEST_F(CapabilityTest, AWorkloadThatIsGoneLeavesNothing) {
  uint64_t number = 0;
  uint64_t id = 0;
  {
    ScopedCgroup cgroup = NewCgroup();
    id = cgroup.id();
    number = WorkloadOf(id);
    ASSERT_EQ(OpenRaw(cgroup), 3);
  }
  const int uses = probes().MapFd("vd_capabilities");
  char value[16];
  EXPECT_EQ(bpf_map_lookup_elem(uses, &number, value), 0);
  cache().NoteCgroup(id, number);
  EXPECT_EQ(cache().ForgetCgroup(id), number);
  ASSERT_TRUE(cache().DropUnused(number));
  EXPECT_NE(bpf_map_lookup_elem(uses, &number, value), 0);
}

TEST_F(CapabilityTest, AnAgentThatDoesNotWantItTakesTheProgramOfItsPredecessorAway) {
  KillAndLoad();
  Attach();
  EXPECT_TRUE(HasProbe("capability"));
  ChangeOptions().capabilities = false;
  KillAndLoad();
  Attach();
  EXPECT_FALSE(HasProbe("capability"));
  ScopedCgroup cgroup = NewCgroup();
  ASSERT_EQ(OpenRaw(cgroup), 3);
  EXPECT_THAT(UsesOf(cgroup, kCapNetRaw), ::testing::IsEmpty());
}

}  // namespace
}  // namespace vedette::testing
