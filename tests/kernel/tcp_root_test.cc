// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>

#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

class TcpTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  BehaviourCount CountOf(const CacheSlot& wanted) {
    BehaviourCount found;
    cache().ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
      if (slot == wanted) {
        found = count;
      }
    });
    return found;
  }
};

TEST_F(TcpTest, BothEndsOfAFlowCountItsBytesExactly) {
  for (const uint64_t bytes : {0u, 1u, 100u, 1000000u}) {
    SCOPED_TRACE(bytes);
    Forget();
    ScopedCgroup cgroup = WatchedCgroup();
    absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "flow:" + std::to_string(bytes)});
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
    const auto port = static_cast<uint16_t>(NumberIn(result->out, "port"));
    auto out = AwaitFlow(FlowStage::kClosed, cgroup.id(), [&](const FlowEvent& f) {
      return f.direction == FlowDirection::kOutbound && f.remote.port == port;
    });
    auto in = AwaitFlow(FlowStage::kClosed, cgroup.id(), [&](const FlowEvent& f) {
      return f.direction == FlowDirection::kInbound && f.local.port == port;
    });
    ASSERT_TRUE(out && in);
    EXPECT_EQ(out->body.sent_bytes, bytes);
    EXPECT_EQ(out->body.received_bytes, 0u) << "the peer's FIN is no byte";
    EXPECT_EQ(in->body.sent_bytes, 0u);
    EXPECT_EQ(in->body.received_bytes, bytes) << "the peer's FIN is no byte";
    EXPECT_GT(out->body.sent_packets, 0u);
    EXPECT_GT(in->body.received_packets, 0u);
    EXPECT_GT(out->body.duration, absl::ZeroDuration());
    EXPECT_GT(out->body.smoothed_rtt, absl::ZeroDuration());
    EXPECT_EQ(out->body.retransmits, 0u);
    EXPECT_EQ(out->body.local.port, in->body.remote.port);
    EXPECT_EQ(CountOf(out->header.slot).sent_bytes, bytes);
    EXPECT_EQ(CountOf(in->header.slot).received_bytes, bytes);
    EXPECT_EQ(CountOf(in->header.slot).acts, 1u);
  }
}

TEST_F(TcpTest, AnAcceptBelongsToTheListenersOwner) {
  ScopedCgroup servers = WatchedCgroup();
  ScopedCgroup clients = WatchedCgroup();
  absl::StatusOr<Child> server = servers.Spawn({Actor(), "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  const long port = NumberIn(server->ReadLine().value_or(""), "port");
  ASSERT_EQ(clients.Run({Actor(), "connect:" + std::to_string(port)})->exit_code, 0);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  auto accept = AwaitFlow(FlowStage::kAccepted, servers.id(),
                          [&](const FlowEvent& f) { return f.local.port == port; });
  ASSERT_TRUE(accept);
  EXPECT_EQ(accept->header.reason, Reason::kNews);
  EXPECT_EQ(accept->body.direction, FlowDirection::kInbound);
  EXPECT_EQ(accept->body.process.tgid, static_cast<uint32_t>(server->pid()));
  EXPECT_EQ(accept->body.process.cgroup_id, servers.id());
  EXPECT_EQ(accept->body.remote.address, Ip("127.0.0.1"));
  EXPECT_TRUE(accept->body.user.unknown());
  auto established = AwaitFlow(FlowStage::kEstablished, clients.id(),
                               [&](const FlowEvent& f) { return f.remote.port == port; });
  ASSERT_TRUE(established);
  EXPECT_EQ(established->body.local.port, accept->body.remote.port);
  EXPECT_NE(established->body.socket_cookie, accept->body.socket_cookie);
}

TEST_F(TcpTest, AnAcceptInAContainerIsItsWorkloads) {
  std::unique_ptr<RuncContainer> container = WatchedContainer();
  absl::StatusOr<Child> server = container->SpawnExec({"/bin/vedette_actor", "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  const long port = NumberIn(server->ReadLine().value_or(""), "port");
  ASSERT_EQ(Child::Run({Actor(), "connect:" + std::to_string(port)})->exit_code, 0);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  auto listening = Await<FlowEvent>([&](const FlowEvent& f) {
    return f.stage == FlowStage::kListening &&
           f.process.namespaces.pid == NamespaceId(container->pid(), "pid");
  });
  ASSERT_TRUE(listening);
  auto accept = AwaitFlow(FlowStage::kAccepted, listening->body.process.home_cgroup_id,
                          [&](const FlowEvent& f) { return f.local.port == port; });
  ASSERT_TRUE(accept);
  EXPECT_EQ(accept->body.process.id, listening->body.process.id);
}

TEST_F(TcpTest, AListenerIsToldWithThePortThatItAskedFor) {
  ScopedCgroup cgroup = WatchedCgroup();
  // Once with a port that the kernel picks, to have one that is free.
  const long port = NumberIn(cgroup.Run({Actor(), "bind"})->out, "port");
  auto picked = AwaitFlow(FlowStage::kListening, cgroup.id(),
                          [](const FlowEvent& f) { return f.ephemeral_port; });
  ASSERT_TRUE(picked) << "a port that the kernel picked is no part of the behaviour";
  EXPECT_EQ(picked->header.reason, Reason::kNews);
  ASSERT_EQ(cgroup.Run({Actor(), "bind:" + std::to_string(port)})->exit_code, 0);
  auto asked = AwaitFlow(FlowStage::kListening, cgroup.id(), [&](const FlowEvent& f) {
    return f.local.port == port && !f.ephemeral_port;
  });
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->body.local.address, Ip("127.0.0.1"));
  EXPECT_EQ(asked->body.direction, FlowDirection::kInbound);
  EXPECT_NE(asked->header.slot, picked->header.slot);
}

TEST_F(TcpTest, AListenWithoutABindIsSeen) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "listen", "wait"});
  ASSERT_TRUE(child.ok()) << child.status();
  const long port = NumberIn(child->ReadLine().value_or(""), "port");
  auto listening = AwaitFlow(FlowStage::kListening, cgroup.id(),
                             [](const FlowEvent& f) { return f.local.port == 0; });
  ASSERT_TRUE(listening);
  // Such a listener is reached all the same, and what it accepts has its owner.
  ASSERT_EQ(Child::Run({Actor(), "connect:" + std::to_string(port)})->exit_code, 0);
  auto accept = AwaitFlow(FlowStage::kAccepted, cgroup.id(),
                          [&](const FlowEvent& f) { return f.local.port == port; });
  ASSERT_TRUE(accept);
  EXPECT_EQ(accept->body.process.tgid, static_cast<uint32_t>(child->pid()));
}

TEST_F(TcpTest, KnownConnectsAreCountedAndCostNoRecord) {
  ScopedCgroup servers = WatchedCgroup();
  ScopedCgroup clients = WatchedCgroup();
  absl::StatusOr<Child> server = servers.Spawn({Actor(), "serve:101"});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string port = std::to_string(NumberIn(server->ReadLine().value_or(""), "port"));
  ASSERT_EQ(clients.Run({Actor(), "connect:" + port})->exit_code, 0);
  auto open = AwaitFlow(FlowStage::kOpen, clients.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(open);
  ASSERT_TRUE(AwaitFlow(FlowStage::kClosed, servers.id(), [](const FlowEvent&) { return true; }));
  for (const ScopedCgroup* cgroup : {&servers, &clients}) {
    ASSERT_TRUE(cache().SetTap(WorkloadOf(cgroup->id()), false).ok());
  }
  Forget();
  ASSERT_EQ(clients.Run({Actor(), "connect:" + port + ":100"})->exit_code, 0);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  ASSERT_TRUE(WaitFor([&] { return CountOf(open->header.slot).acts == 101; }));
  uint64_t connected = 0;
  for (uint64_t bucket : CountOf(open->header.slot).latency) {
    connected += bucket;
  }
  EXPECT_EQ(connected, 101u);
  ReadRings();
  EXPECT_EQ(Count<FlowEvent>([](const FlowEvent&) { return true; }), 0u);
}

}  // namespace
}  // namespace vedette::testing
