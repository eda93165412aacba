// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <filesystem>

#include "bpf/lib/process_context.h"
#include "bpf/wire/cache.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// No process has such a number.
constexpr uint32_t kGone = 1u << 30;

// What an agent that was killed left under its pins.
class PinsTest : public KernelTest {
 protected:
  bool IsInTable(uint32_t tgid) {
    process_context context = {};
    return bpf_map_lookup_elem(probes().MapFd("vd_processes"), &tgid, &context) == 0;
  }

  wire_config Config() {
    const uint32_t zero = 0;
    wire_config config = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_config"), &zero, &config), 0);
    return config;
  }

  wire_workload Workload(uint64_t number) {
    wire_workload workload = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
    return workload;
  }

  // Acts in a cgroup of its own, whose record nobody has read, and a process that ends unseen.
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    Attach();
    cgroup_.emplace(WatchedCgroup());
    number_ = WorkloadOf(cgroup_->id());
    ASSERT_EQ(cgroup_->Run({Actor(), "nothing:before"})->exit_code, 0);
    const process_context blank = {};
    ASSERT_EQ(bpf_map_update_elem(probes().MapFd("vd_processes"), &kGone, &blank, BPF_NOEXIST), 0);
  }

  void TearDown() override {
    KernelTest::TearDown();
    cgroup_.reset();
  }

  std::optional<ScopedCgroup> cgroup_;
  uint64_t number_ = 0;
};

TEST_F(PinsTest, AKilledAgentIsTakenOverWithItsTables) {
  absl::StatusOr<Child> child = cgroup_->Spawn({Actor(), "pause"});
  ASSERT_TRUE(child.ok()) << child.status();
  KillAndLoad();
  EXPECT_TRUE(probes().adopted());
  EXPECT_TRUE(IsInTable(kGone));
  EXPECT_EQ(Workload(number_).processes, 1u);
  EXPECT_EQ(WorkloadOf(cgroup_->id()), number_);
  EXPECT_TRUE(AwaitExec("nothing:before"));
}

TEST_F(PinsTest, TheTapsOfAKilledAgentAreClosed) {
  ASSERT_EQ(Config().tap_some, 1u);  // That of the cgroup.
  ASSERT_TRUE(cache().SetTapAll(true).ok());
  KillAndLoad();
  EXPECT_EQ(Config().tap_some, 0u);
  EXPECT_EQ(Config().tap_all, 0u);
  uint64_t first = 0;
  EXPECT_NE(bpf_map_get_next_key(probes().MapFd("vd_taps"), nullptr, &first), 0);
  // Only those that are wanted are open, also where one was left open.
  ASSERT_TRUE(cache().SetTaps({number_}).ok());
  EXPECT_EQ(Config().tap_some, 1u);
  ASSERT_TRUE(cache().SetTaps({number_ + 1}).ok());
  ASSERT_EQ(bpf_map_get_next_key(probes().MapFd("vd_taps"), nullptr, &first), 0);
  EXPECT_EQ(first, number_ + 1);
  ASSERT_TRUE(cache().SetTaps({}).ok());
  EXPECT_EQ(Config().tap_some, 0u);
}

TEST_F(PinsTest, OneThatWasKilledWhileItStoppedIsTakenOverWithoutWhatNobodyKeptTrue) {
  absl::StatusOr<Child> child = cgroup_->Spawn({Actor(), "pause"});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(IsInTable(static_cast<uint32_t>(child->pid())));
  probes().Detach();
  EXPECT_FALSE(std::filesystem::exists(probes().pin_dir() + "/links"));
  KillAndLoad();
  EXPECT_TRUE(probes().adopted());
  EXPECT_FALSE(IsInTable(kGone));
  EXPECT_EQ(Workload(number_).processes, 0u);
  // The cache, who is who, and what was told are as they were.
  EXPECT_EQ(WorkloadOf(cgroup_->id()), number_);
  EXPECT_TRUE(AwaitExec("nothing:before"));
  Attach();
  EXPECT_TRUE(IsInTable(static_cast<uint32_t>(child->pid())));
  EXPECT_EQ(Workload(number_).processes, 1u);
  ASSERT_TRUE(cache().SetTap(number_, false).ok());
  Forget();
  ASSERT_EQ(cgroup_->Run({Actor(), "nothing:before"})->exit_code, 0);
  ReadRings();
  EXPECT_EQ(Count<ExecEvent>([&](const ExecEvent& exec) {
              return exec.process.home_cgroup_id == cgroup_->id();
            }),
            0u);
}

TEST_F(PinsTest, WithoutItsMapsNothingIsTakenOver) {
  const std::string config = probes().pin_dir() + "/maps/vd_config";
  ASSERT_TRUE(std::filesystem::remove(config));
  KillAndLoad();
  EXPECT_FALSE(probes().adopted());
  EXPECT_FALSE(IsInTable(kGone));
}

}  // namespace
}  // namespace vedette::testing
