// SPDX-License-Identifier: Apache-2.0
// What the agent itself does, seen by the agent: its store, log and sinks must make no loop.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(25);  // Longer than what is done each 10 s.

// A port of 127.0.0.1 that refuses: bound, and nobody listens.
class RefusingPort {
 public:
  RefusingPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  UniqueFd fd_;
  int port_ = 0;
};

class AgentIdleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    agent_.SetCgroup(cgroup_->fd());
    agent_.SetSinks(fmt::format(
        "sinks:\n  - jsonl: {{ path: {} }}\n  - kafka: {{ brokers: [\"127.0.0.1:{}\"] }}\n",
        agent_.jsonl_path(), nobody_.port()));
  }
  std::string itself() const { return WorkloadOf(*cgroup_); }

  RefusingPort nobody_;
  std::optional<ScopedCgroup> cgroup_;
  AgentProcess agent_;
};

TEST_F(AgentIdleTest, AnIdleAgentTellsAtMostOneRecordASecondOfItself) {
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  // It is watched as any other: what it did at its start is there.
  ASSERT_TRUE(WaitFor([&] { return agent_.Profile(itself()).contains("state"); }));
  const double learning = agent_.RecordsPerSecond(itself(), kWindow);
  EXPECT_LE(learning, 1.0) << agent_.Profile(itself()).dump();
  agent_.Freeze(itself());
  const double frozen = agent_.RecordsPerSecond(itself(), kWindow);
  EXPECT_LE(frozen, 1.0) << agent_.Profile(itself()).dump();
  fmt::print("{:.2f} records a second of itself while learning, {:.2f} frozen\n", learning, frozen);
}

}  // namespace
}  // namespace vedette::testing
