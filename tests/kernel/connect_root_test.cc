// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>

#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

class ConnectTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // A server of its own cgroup; returns its port.
  uint16_t Serve(const ScopedCgroup& cgroup, int times) {
    absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "serve:" + std::to_string(times)});
    EXPECT_TRUE(child.ok()) << child.status();
    servers_.push_back(std::make_unique<Child>(*std::move(child)));
    return static_cast<uint16_t>(NumberIn(servers_.back()->ReadLine().value_or(""), "port"));
  }

  static bool To(const FlowEvent& flow, std::string_view address, uint16_t port) {
    return flow.remote.address == Ip(address) && flow.remote.port == port;
  }

 private:
  std::vector<std::unique_ptr<Child>> servers_;
};

TEST_F(ConnectTest, AConnectNamesItsProcessAndItsPeerAndThenItsOutcome) {
  ScopedCgroup servers = WatchedCgroup();
  ScopedCgroup clients = WatchedCgroup();
  const uint16_t port = Serve(servers, 1);
  const uint64_t before = BootNow();
  ASSERT_EQ(clients.Run({Actor(), "connect:" + std::to_string(port)})->out,
            "connect ok=1 failed=0\n");
  auto to_server = [&](const FlowEvent& f) { return To(f, "127.0.0.1", port); };
  auto open = AwaitFlow(FlowStage::kOpen, clients.id(), to_server);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->header.reason, Reason::kNews);
  EXPECT_NE(open->header.slot.slot, 0u);
  EXPECT_EQ(open->header.slot.workload_number, WorkloadOf(clients.id()));
  EXPECT_EQ(open->body.direction, FlowDirection::kOutbound);
  EXPECT_EQ(open->body.protocol, IPPROTO_TCP);
  EXPECT_NE(open->body.socket_cookie, 0u);
  EXPECT_EQ(open->body.process.comm, "vedette_actor");
  EXPECT_EQ(open->body.process.cgroup_id, clients.id());
  EXPECT_GT(open->body.process.id.start_ns, before);
  EXPECT_EQ(open->body.user, open->body.process.id);
  auto exec = AwaitExec("connect:" + std::to_string(port));
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.id, open->body.process.id);
  EXPECT_EQ(exec->body.process.code, open->body.process.code);

  auto established = AwaitFlow(FlowStage::kEstablished, clients.id(), to_server);
  ASSERT_TRUE(established);
  EXPECT_EQ(established->header.reason, Reason::kFollowUp);
  EXPECT_EQ(established->body.socket_cookie, open->body.socket_cookie);
  EXPECT_EQ(established->body.local.address, Ip("127.0.0.1"));
  EXPECT_NE(established->body.local.port, 0);
  EXPECT_EQ(established->header.slot, open->header.slot);
}

TEST_F(ConnectTest, AMappedAddressIsTheSamePeerAsItsIpv4Address) {
  ScopedCgroup servers = WatchedCgroup();
  ScopedCgroup clients = WatchedCgroup();
  const uint16_t port = Serve(servers, 2);
  const std::string text = std::to_string(port);
  // One process, so one code: the second is a repeat of the first, not a behaviour of its own.
  ASSERT_EQ(clients.Run({Actor(), "connect:" + text, "connect6:" + text + ":1:mapped"})->out,
            "connect ok=1 failed=0\nconnect6 ok=1 failed=0\n");
  auto is_open = [&](const FlowEvent& f) {
    return f.stage == FlowStage::kOpen && f.process.home_cgroup_id == clients.id() &&
           To(f, "127.0.0.1", port);
  };
  ASSERT_TRUE(WaitFor([&] {
    ReadRings();
    return Count<FlowEvent>(is_open) == 2;
  }));
  auto known = Await<FlowEvent>([&](const FlowEvent& f) {
    return is_open(f) && f.socket_cookie != Find<FlowEvent>(is_open)->body.socket_cookie;
  });
  ASSERT_TRUE(known);
  EXPECT_EQ(known->header.reason, Reason::kTap);
  EXPECT_EQ(known->header.slot, Find<FlowEvent>(is_open)->header.slot);
}

TEST_F(ConnectTest, ARefusedConnectIsToldWithItsError) {
  ScopedCgroup clients = WatchedCgroup();
  // Port 1 of the loopback: nobody listens there.
  ASSERT_EQ(clients.Run({Actor(), "connect:1", "connect6:1"})->out,
            "connect ok=0 failed=1\nconnect6 ok=0 failed=1\n");
  for (const char* address : {"127.0.0.1", "::1"}) {
    auto matches = [&](const FlowEvent& f) { return To(f, address, 1); };
    auto open = AwaitFlow(FlowStage::kOpen, clients.id(), matches);
    ASSERT_TRUE(open) << address;
    auto failed = AwaitFlow(FlowStage::kFailed, clients.id(), matches);
    ASSERT_TRUE(failed) << address;
    EXPECT_EQ(failed->body.error, ECONNREFUSED) << address;
    EXPECT_EQ(failed->body.socket_cookie, open->body.socket_cookie);
    uint64_t failures = 0;
    EXPECT_TRUE(cache()
                    .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                      if (slot == open->header.slot) {
                        failures = count.failures;
                      }
                    })
                    .ok());
    EXPECT_EQ(failures, 1u) << address;
  }
}

TEST_F(ConnectTest, AConnectInAContainerIsItsWorkloads) {
  ScopedCgroup servers = WatchedCgroup();
  const uint16_t port = Serve(servers, 1);
  std::unique_ptr<RuncContainer> container = WatchedContainer();
  absl::StatusOr<ChildResult> result =
      container->Exec({"/bin/vedette_actor", "connect:" + std::to_string(port)});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto open = Await<FlowEvent>(
      [&](const FlowEvent& f) { return f.stage == FlowStage::kOpen && To(f, "127.0.0.1", port); });
  ASSERT_TRUE(open);
  EXPECT_EQ(open->body.process.comm, "vedette_actor");
  EXPECT_EQ(open->body.process.workload_number, WorkloadOf(open->body.process.home_cgroup_id));
  EXPECT_EQ(open->body.process.namespaces.pid, NamespaceId(container->pid(), "pid"));
  EXPECT_TRUE(AwaitFlow(FlowStage::kClosed, open->body.process.home_cgroup_id,
                        [&](const FlowEvent& f) { return To(f, "127.0.0.1", port); }));
}

TEST_F(ConnectTest, AConnectedDatagramSocketIsAFlowToo) {
  ScopedCgroup clients = WatchedCgroup();
  ASSERT_EQ(clients.Run({Actor(), "udp-connect:9"})->exit_code, 0);
  auto open = AwaitFlow(FlowStage::kOpen, clients.id(), [](const FlowEvent& f) {
    return f.protocol == IPPROTO_UDP && To(f, "127.0.0.1", 9);
  });
  ASSERT_TRUE(open);
  EXPECT_EQ(open->body.process.comm, "vedette_actor");
  auto closed = AwaitFlow(FlowStage::kClosed, clients.id(),
                          [](const FlowEvent& f) { return f.protocol == IPPROTO_UDP; });
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->body.socket_cookie, open->body.socket_cookie);
  EXPECT_EQ(closed->body.sent_bytes, 1u);
  // To connect and to send is one act.
  EXPECT_EQ(Count<FlowEvent>([&](const FlowEvent& f) {
              return f.stage == FlowStage::kOpen && f.process.home_cgroup_id == clients.id();
            }),
            1u);
}

}  // namespace
}  // namespace vedette::testing
