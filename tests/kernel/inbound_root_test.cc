// SPDX-License-Identifier: Apache-2.0
// Whoever can reach a listener can be a new peer as often as he likes. That must not take from the
// kernel what it has to tell of the server's own acts.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "agent/base/unique_fd.h"
#include "bpf/wire/cache.h"
#include "tests/kernel/probe_fixture.h"
#include "tests/support/loopback_peer.h"

namespace vedette::testing {
namespace {

constexpr uint32_t kEntries = 16;
constexpr uint32_t kPeers = 40;

class InboundTest : public KernelTest {
 protected:
  void ChangeCache(VerdictCacheOptions& options) override {
    options.entries[kFlowCache] = kEntries;
    options.entries[kInboundCache] = kEntries;
  }

  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // A listener of the test, which nobody has connected to.
  struct Target {
    UniqueFd fd;
    uint16_t port = 0;
  };
  static Target Listen() {
    Target target{UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0};
    sockaddr_in at = LoopbackAddress(INADDR_LOOPBACK, 0);
    socklen_t size = sizeof(at);
    EXPECT_EQ(bind(target.fd.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(target.fd.get(), 8), 0);
    EXPECT_EQ(getsockname(target.fd.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    target.port = ntohs(at.sin_port);
    return target;
  }

  // Where a server that was just started listens.
  static uint16_t PortOf(Child& server) {
    return static_cast<uint16_t>(NumberIn(server.ReadLine().value_or(""), "port"));
  }

  // All that the cgroup does is told, for it is watched; but is this news?
  void ExpectNews(const ScopedCgroup& cgroup, const Target& target) {
    const auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(),
                                [&](const FlowEvent& f) { return f.remote.port == target.port; });
    ASSERT_TRUE(open);
    EXPECT_EQ(open->header.reason, Reason::kNews) << "it is counted, and nobody judges it";
    EXPECT_NE(open->header.slot.slot, 0u);
  }

  // How often it was told of this workload that a cache is full, by the cache.
  std::vector<uint32_t> Overflows(const ScopedCgroup& cgroup) {
    std::vector<uint32_t> caches;
    for (const auto& seen : All<OverflowEvent>([&](const OverflowEvent& overflow) {
           return overflow.workload_number == WorkloadOf(cgroup.id());
         })) {
      caches.push_back(seen.body.cache);
    }
    return caches;
  }

  std::vector<std::string> FullCaches(const ScopedCgroup& cgroup) {
    std::vector<std::string> names;
    for (const FullWorkload& workload : cache().FullWorkloads()) {
      for (uint32_t kind = 0; kind < workload.full.size(); ++kind) {
        if (workload.number == WorkloadOf(cgroup.id()) && workload.full[kind]) {
          names.emplace_back(CacheName(kind));
        }
      }
    }
    return names;
  }
};

TEST_F(InboundTest, PeersFromOutsideLeaveRoomForWhatTheServerConnectsTo) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const Target target = Listen();
  absl::StatusOr<Child> server = cgroup.Spawn(
      {Actor(), fmt::format("serve:{}", 2 * kPeers), fmt::format("connect:{}", target.port)});
  ASSERT_TRUE(server.ok()) << server.status();
  const uint16_t port = PortOf(*server);
  ConnectLoopbackPeers(port, 1, kPeers);
  ASSERT_TRUE(Await<OverflowEvent>([&](const OverflowEvent& overflow) {
    return overflow.workload_number == WorkloadOf(cgroup.id());
  }));
  ConnectLoopbackPeers(port, 1 + kPeers, kPeers);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  ExpectNews(cgroup, target);
  EXPECT_EQ(Overflows(cgroup), std::vector<uint32_t>{kInboundCache}) << "told once";
  EXPECT_EQ(FullCaches(cgroup), std::vector<std::string>{"inbound"});
}

// As after a moment in which the ring of overflows was full.
TEST_F(InboundTest, AnOverflowThatWasNotToldIsToldByTheNextActWithoutRoom) {
  const ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), fmt::format("serve:{}", 2 * kPeers)});
  ASSERT_TRUE(server.ok()) << server.status();
  const uint16_t port = PortOf(*server);
  ConnectLoopbackPeers(port, 1, kPeers);
  ASSERT_TRUE(WaitFor([&] { return Overflows(cgroup).size() == 1; }));
  const uint64_t number = WorkloadOf(cgroup.id());
  const int workloads = probes().MapFd("vd_workloads");
  wire_workload workload;
  ASSERT_EQ(bpf_map_lookup_elem(workloads, &number, &workload), 0);
  workload.overflowed[kInboundCache] = WIRE_OVERFLOWED_UNTOLD;
  ASSERT_EQ(bpf_map_update_elem(workloads, &number, &workload, BPF_EXIST), 0);
  EXPECT_EQ(FullCaches(cgroup), std::vector<std::string>{"inbound"});
  ConnectLoopbackPeers(port, 1 + kPeers, kPeers);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  EXPECT_TRUE(WaitFor([&] { return Overflows(cgroup).size() == 2; }));
}

TEST_F(InboundTest, WhatTheServerConnectsToLeavesRoomForPeersFromOutside) {
  const ScopedCgroup cgroup = WatchedCgroup();
  // Nobody has to listen there.
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), fmt::format("udp:{}", kPeers), "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE(server->ReadLine().ok());
  const uint16_t port = PortOf(*server);
  ConnectLoopbackPeers(port, 1, 1);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  const auto accepted = AwaitFlow(FlowStage::kAccepted, cgroup.id(), [&](const FlowEvent& f) {
    return f.remote.address == Ip("127.0.1.1");
  });
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->header.reason, Reason::kNews);
  EXPECT_EQ(Overflows(cgroup), std::vector<uint32_t>{kFlowCache});
}

TEST_F(InboundTest, AnswersToPeersThatFindNoRoomTakeNoneEither) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const Target target = Listen();
  absl::StatusOr<Child> server = cgroup.Spawn(
      {Actor(), fmt::format("udp-answer:{}", kPeers), fmt::format("connect:{}", target.port)});
  ASSERT_TRUE(server.ok()) << server.status();
  const uint16_t port = PortOf(*server);
  const sockaddr_in to = LoopbackAddress(INADDR_LOOPBACK, port);
  std::vector<UniqueFd> clients;
  for (uint32_t i = 0; i < kPeers; ++i) {
    clients.push_back(LoopbackPeer(SOCK_DGRAM, 1 + i));
    ASSERT_EQ(
        sendto(clients.back().get(), "q", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
        1);
  }
  ASSERT_EQ(server->Wait()->exit_code, 0);
  ExpectNews(cgroup, target);
  EXPECT_EQ(Overflows(cgroup), std::vector<uint32_t>{kInboundCache});
}

}  // namespace
}  // namespace vedette::testing
