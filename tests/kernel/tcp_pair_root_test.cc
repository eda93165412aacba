// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <numeric>

#include "agent/base/unique_fd.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// The two programs on changes of TCP states: docs/adr/0012-two-programs-on-tcp-state.md.
class TcpPairTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  BehaviourCount CountOf(const CacheSlot& wanted) {
    BehaviourCount found;
    EXPECT_TRUE(cache()
                    .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                      if (slot == wanted) {
                        found = count;
                      }
                    })
                    .ok());
    return found;
  }

  // How many connections are in the histogram of a behaviour.
  static uint64_t MeasuredIn(const BehaviourCount& count) {
    return std::accumulate(count.latency.begin(), count.latency.end(), uint64_t{0});
  }

  // What the kernel made of a program; empty where it does not show that.
  static std::string MachineCode(int fd) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    std::string code(info.jited_prog_len, '\0');
    bpf_prog_info again = {};
    again.jited_prog_len = info.jited_prog_len;
    again.jited_prog_insns = reinterpret_cast<uintptr_t>(code.data());
    size = sizeof(again);
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &again, &size), 0);
    return again.jited_prog_insns == 0 ? "" : code;
  }
};

// The packets of all connections interrupt a process that changes states of its own, on one CPU:
// the kernel runs no program that is running there already.
TEST_F(TcpPairTest, NoChangeIsLostThatInterruptsAnother) {
  // Under emulation a task that runs before all others starves what frees its sockets; elsewhere
  // it keeps others out, of which some hosts let no program see what interrupts them.
  const bool is_emulated = ReadFile("/proc/cpuinfo").find("QEMU TCG") != std::string::npos;
  const uint64_t connections = is_emulated ? 300 : 3000;
  absl::StatusOr<ScopedCgroup> cgroup = ScopedCgroup::Create();
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  ASSERT_TRUE(cache().PrepareWorkloads().ok());
  absl::StatusOr<ChildResult> result = cgroup->Run(
      {Actor(), fmt::format("crossing:{}{}", connections, is_emulated ? "" : ":first")});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const auto port = static_cast<uint16_t>(NumberIn(result->out, "port"));
  auto out = AwaitFlow(FlowStage::kOpen, cgroup->id(),
                       [&](const FlowEvent& f) { return f.remote.port == port; });
  auto in = AwaitFlow(FlowStage::kAccepted, cgroup->id(),
                      [&](const FlowEvent& f) { return f.local.port == port; });
  ASSERT_TRUE(out && in);
  // What the last connection changes in softirq comes after its close has returned.
  WaitFor([&] { return MeasuredIn(CountOf(in->header.slot)) == connections; }, absl::Seconds(5));
  const BehaviourCount begun = CountOf(out->header.slot), accepted = CountOf(in->header.slot);
  EXPECT_EQ(begun.acts, connections);
  EXPECT_EQ(begun.sent_bytes, connections) << "their ends";
  EXPECT_EQ(MeasuredIn(begun), connections) << "established, and ended";
  EXPECT_EQ(accepted.acts, connections);
  EXPECT_EQ(accepted.received_bytes, connections) << "their ends";
  EXPECT_EQ(MeasuredIn(accepted), connections) << "accepted, and ended";
  EXPECT_THAT(GapsOfSkippedRuns(probes().ReadSkippedRuns()), ::testing::IsEmpty());
  EXPECT_EQ(SumOfSkippedRuns(probes().ReadSkippedRuns(), "tcp"), 0u);
  EXPECT_GT(cache().TakenOver(), connections / 100) << "none came in between: this showed nothing";
}

// A program of 6.13 and later has its variables in memory of the CPU if the kernel keeps it from
// being interrupted by itself; tcp_body is, by way of the two that are attached.
TEST_F(TcpPairTest, TheBodyHasItsVariablesOnTheStackOfWhoRunsIt) {
  // add r9, gs:[...]: where such a program finds that memory.
  constexpr std::string_view kAddressOfCpu("\x65\x4c\x03\x0c\x25", 5);
  size_t looked_at = 0;
  for (const auto& [name, fd] : probes().ProgramFds()) {
    if (name.starts_with("tcp_")) {
      const std::string code = MachineCode(fd);
      EXPECT_FALSE(code.empty()) << name;
      EXPECT_EQ(code.find(kAddressOfCpu), std::string::npos) << name;
      ++looked_at;
    }
  }
  EXPECT_EQ(looked_at, 3u);
}

// Programs of one hook run in the order in which they are attached, and the second goes by what the
// first has noted.
TEST_F(TcpPairTest, TheSecondOfThePairIsAttachedAfterTheFirstAlsoWhenItIsLeftAlone) {
  const auto link_id = [&](const std::string& program) {
    const UniqueFd link(bpf_obj_get((probes().pin_dir() + "/links/" + program).c_str()));
    bpf_link_info info = {};
    uint32_t size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &size), 0) << program;
    return info.id;
  };
  const uint32_t first = link_id("tcp_state"), second = link_id("tcp_nested");
  EXPECT_LT(first, second);
  const std::string pin = probes().pin_dir() + "/links/tcp_state";
  KillAndLoad();
  ASSERT_EQ(unlink(pin.c_str()), 0);
  Attach();
  EXPECT_GT(link_id("tcp_state"), second);
  EXPECT_GT(link_id("tcp_nested"), link_id("tcp_state"));
}

}  // namespace
}  // namespace vedette::testing
