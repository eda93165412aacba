// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/kernel/probe_fixture.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

constexpr uint16_t kPort = 5555;  // In a namespace that is the test's own.

class RetransmitTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
      auto netns = ScopedNetns::Create();
      ASSERT_TRUE(netns.ok()) << netns.status();
      netns_.emplace(*std::move(netns));
      ASSERT_TRUE(netns_->ConnectToHost().ok());
    }
  }

  // Frames to the server go to a station that is not there, or again to the right one.
  void MisleadFrames(bool on) {
    auto route = Child::Run({"ip", "route", "get", netns_->inside_address()});
    ASSERT_TRUE(route.ok() && route->exit_code == 0) << route.status();
    const size_t begin = route->out.find(" dev ") + 5;
    const std::string device = route->out.substr(begin, route->out.find(' ', begin) - begin);
    std::vector<std::string> command = {
        "ip", "neigh", on ? "replace" : "del", netns_->inside_address(), "dev", device};
    if (on) {
      command.insert(command.end(), {"lladdr", "02:00:00:00:00:99", "nud", "permanent"});
    }
    auto done = Child::Run(command);
    ASSERT_TRUE(done.ok() && done->exit_code == 0) << done->err;
  }

  // A connection to the server that waits for its answer: state 2 in the kernel's table.
  bool IsConnecting() const {
    return ReadFile("/proc/net/tcp").find(fmt::format(":{:04X} 02 ", kPort)) != std::string::npos;
  }

  std::optional<ScopedNetns> netns_;
};

TEST_F(RetransmitTest, WhatIsSentAgainIsCounted) {
  auto server = netns_->Spawn({"/bin/busybox", "nc", "-l", "-p", std::to_string(kPort)});
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE(WaitFor([&] {
    auto table = netns_->Run({"cat", "/proc/net/tcp", "/proc/net/tcp6"});
    return table.ok() && table->out.find(fmt::format(":{:04X} ", kPort)) != std::string::npos;
  }));
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_NO_FATAL_FAILURE(MisleadFrames(true));
  auto client = cgroup.Spawn({"/bin/bash", "-c",
                              fmt::format("exec 3<>/dev/tcp/{}/{} && echo x >&3 && exec 3>&-",
                                          netns_->inside_address(), kPort)});
  ASSERT_TRUE(client.ok()) << client.status();
  // Its first segment is lost by now or never: the kernel sends it again after a second.
  ASSERT_TRUE(WaitFor([&] { return IsConnecting(); }));
  ASSERT_NO_FATAL_FAILURE(MisleadFrames(false));
  auto result = client->Wait();
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  server->CloseInput();
  auto flow = AwaitFlow(FlowStage::kClosed, cgroup.id(),
                        [](const FlowEvent& f) { return f.remote.port == kPort; });
  ASSERT_TRUE(flow);
  EXPECT_GE(flow->body.retransmits, 1u);
  EXPECT_EQ(flow->body.sent_bytes, 2u) << "what is sent again is no further byte";
  uint64_t counted = 0;
  const absl::Status read =
      cache().ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
        counted += slot == flow->header.slot ? count.retransmits : 0;
      });
  ASSERT_TRUE(read.ok()) << read;
  EXPECT_EQ(counted, flow->body.retransmits);
}

}  // namespace
}  // namespace vedette::testing
