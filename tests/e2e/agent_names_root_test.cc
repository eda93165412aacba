// SPDX-License-Identifier: Apache-2.0
// Peers keep their names over a restart of the agent, and a peer with a name is judged by it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

// A service in a network of its own, where it may be its own resolver. The name it asks for is
// x.test at 192.0.2.1.
class AgentNamesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
    auto netns = ScopedNetns::Create();
    ASSERT_TRUE(netns.ok()) << netns.status();
    netns_.emplace(*std::move(netns));
    agent_.SetConfig("dns: { resolvers: [127.0.0.2] }");
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  }

  void Act(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    auto child = Child::Spawn({std::move(acts), {}, cgroup_->fd(), netns_->fd()});
    ASSERT_TRUE(child.ok()) << child.status();
    const auto result = child->Wait();
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  }
  uint64_t CountOf(std::string_view channel, std::string_view object) {
    const Json profile = agent_.Profile(workload_);
    uint64_t count = 0;
    for (const char* list : {"behaviours", "deviations"}) {
      for (const Json& entry : AgentProcess::Entries(profile, list, channel, object)) {
        count += entry["count"].get<uint64_t>();
      }
    }
    return count;
  }
  void Learn(std::vector<std::string> acts, std::string_view object) {
    Act(std::move(acts));
    ASSERT_TRUE(WaitFor([&] { return CountOf("connect", object) >= 1; }))
        << agent_.Profile(workload_).dump();
    agent_.Freeze(workload_);
  }
  std::vector<std::string> Titles() {
    std::vector<std::string> titles;
    for (const Json& finding : agent_.Findings(workload_)) {
      titles.push_back(finding["title"]);
    }
    return titles;
  }
  bool IsFound(std::string_view object) {
    for (const std::string& title : Titles()) {
      if (title.find(object) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  void Restart() {
    const auto code = agent_.Stop();
    ASSERT_TRUE(code.ok() && *code == 0) << agent_.Log();
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  }

  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::optional<ScopedNetns> netns_;
  std::string workload_;
};

TEST_F(AgentNamesTest, AFrozenServiceFindsItsPeerByNameAfterARestart) {
  Learn({"dns", "reach:192.0.2.1:5432"}, "dns:x.test:5432/tcp");
  // A clean stop takes the kernel's cache away: the next connection is told anew.
  Restart();
  Act({"reach:192.0.2.1:5432"});
  EXPECT_TRUE(WaitFor([&] { return CountOf("connect", "dns:x.test:5432/tcp") >= 2; }));
  EXPECT_THAT(Titles(), IsEmpty());
  // And after an agent that was killed.
  agent_.Kill();
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  Act({"reach:192.0.2.1:5432"});
  Restart();
  Act({"reach:192.0.2.1:5432"});
  EXPECT_TRUE(WaitFor([&] { return CountOf("connect", "dns:x.test:5432/tcp") >= 4; }));
  EXPECT_THAT(Titles(), IsEmpty());
  // Another address has no name.
  Act({"reach:192.0.2.2:5432"});
  EXPECT_TRUE(WaitFor([&] { return IsFound("net:192.0.2.0/24:5432/tcp"); }));
}

TEST_F(AgentNamesTest, APeerThatGetsANameIsJudgedByItThoughItsNetworkIsKnown) {
  Learn({"reach:192.0.2.77:5432"}, "net:192.0.2.0/24:5432/tcp");
  Act({"dns"});
  // What is done before the agent has seen the answer may still count for the network.
  EXPECT_TRUE(WaitFor([&] {
    Act({"reach:192.0.2.1:5432"});
    return IsFound("dns:x.test:5432/tcp");
  }));
  Act({"reach:192.0.2.78:5432"});
  EXPECT_TRUE(WaitFor([&] { return CountOf("connect", "net:192.0.2.0/24:5432/tcp") >= 2; }));
  EXPECT_FALSE(IsFound("net:192.0.2.0/24:5432/tcp"));
}

TEST_F(AgentNamesTest, AnUnnamedPeerDoesNotMakeItsNamedNeighbourKnown) {
  Learn({"dns", "reach:192.0.2.77:5432"}, "net:192.0.2.0/24:5432/tcp");
  Act({"reach:192.0.2.1:5432"});
  EXPECT_TRUE(WaitFor([&] { return IsFound("dns:x.test:5432/tcp"); }));
}

TEST_F(AgentNamesTest, AFrozenServiceFindsTheWorkloadItTalksToAfterARestart) {
  auto peer = ScopedCgroup::Create();
  ASSERT_TRUE(peer.ok()) << peer.status();
  auto server = Child::Spawn({{VEDETTE_ACTOR_PATH, "serve:100"}, {}, peer->fd(), netns_->fd()});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string line = server->ReadLine().value_or("");
  const std::string port = line.substr(line.find("port=") + 5);
  const std::string object = fmt::format("workload:{}:{}/tcp", WorkloadOf(*peer), port);
  Learn({"reach:127.0.0.1:" + port}, object);
  Restart();
  Act({"reach:127.0.0.1:" + port});
  EXPECT_TRUE(WaitFor([&] { return CountOf("connect", object) >= 2; }));
  EXPECT_THAT(Titles(), IsEmpty());
}

}  // namespace
}  // namespace vedette::testing
