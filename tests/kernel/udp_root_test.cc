// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include "bpf/wire/dns.h"
#include "tests/kernel/probe_fixture.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

class UdpTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // In a network of its own, where port 53 is free.
  static ChildResult RunAlone(const ScopedCgroup& cgroup, std::vector<std::string> argv) {
    absl::StatusOr<ScopedNetns> netns = ScopedNetns::Create();
    EXPECT_TRUE(netns.ok()) << netns.status();
    absl::StatusOr<Child> child = Child::Spawn({std::move(argv), {}, cgroup.fd(), netns->fd()});
    EXPECT_TRUE(child.ok()) << child.status();
    return child->Wait().value_or(ChildResult());
  }

  size_t Entries(const char* map) {
    std::vector<char> key(16), next(16);
    size_t count = 0;
    const int fd = probes().MapFd(map);
    for (bool first = true;
         bpf_map_get_next_key(fd, first ? nullptr : key.data(), next.data()) == 0; first = false) {
      key = next;
      ++count;
    }
    return count;
  }

  // A client that sends 1000 bytes and a server that answers with 2345.
  struct Pair {
    long client = 0;
    long server = 0;
  };
  static Pair RunPair(const ScopedCgroup& cgroup, const std::string& how) {
    absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "udp6:" + how});
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << result->err;
    return {NumberIn(result->out, "client"), NumberIn(result->out, "server")};
  }

  // The flow that began like this, and how it ended; each end counts for itself.
  void ExpectFlow(const Seen<FlowEvent>& begin, uint64_t sent_bytes, uint64_t received_bytes) {
    EXPECT_EQ(begin.body.protocol, IPPROTO_UDP);
    EXPECT_EQ(begin.header.reason, Reason::kNews);
    auto end =
        AwaitFlow(FlowStage::kClosed, begin.body.process.home_cgroup_id,
                  [&](const FlowEvent& f) { return f.socket_cookie == begin.body.socket_cookie; });
    ASSERT_TRUE(end);
    EXPECT_EQ(end->body.remote, begin.body.remote);
    EXPECT_EQ(end->body.direction, begin.body.direction);
    EXPECT_EQ(end->body.sent_bytes, sent_bytes);
    EXPECT_EQ(end->body.received_bytes, received_bytes);
    EXPECT_EQ(end->body.sent_packets, 1u);
    EXPECT_EQ(end->body.received_packets, 1u);
    BehaviourCount counted;
    EXPECT_TRUE(cache()
                    .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                      counted = slot == begin.header.slot ? count : counted;
                    })
                    .ok());
    EXPECT_EQ(counted.sent_bytes, sent_bytes);
    EXPECT_EQ(counted.received_bytes, received_bytes);
  }

  void ExpectClient(const ScopedCgroup& cgroup, const Pair& ports, const char* address) {
    auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(),
                          [&](const FlowEvent& f) { return f.remote.port == ports.server; });
    ASSERT_TRUE(open);
    EXPECT_EQ(open->body.remote.address, Ip(address));
    EXPECT_EQ(open->body.direction, FlowDirection::kOutbound);
    ExpectFlow(*open, 1000, 2345);
  }

  void ExpectServer(const ScopedCgroup& cgroup, const Pair& ports, const char* address) {
    auto heard = AwaitFlow(FlowStage::kAccepted, cgroup.id(),
                           [&](const FlowEvent& f) { return f.remote.port == ports.client; });
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->body.remote.address, Ip(address));
    EXPECT_EQ(heard->body.direction, FlowDirection::kInbound);
    EXPECT_EQ(heard->body.local.address, Ip(address));
    EXPECT_EQ(heard->body.local.port, ports.server);
    ExpectFlow(*heard, 2345, 1000);
  }

  // A DNS answer is an event with the address that the answer holds.
  static bool IsAnswer(const DnsEvent& dns) { return dns.is_response; }
};

TEST_F(UdpTest, BothEndsCountBytesAndPacketsExactly) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "udp-pair:1000:2345"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const long client = NumberIn(result->out, "client");
  const long server = NumberIn(result->out, "server");
  auto listening = AwaitFlow(FlowStage::kListening, cgroup.id(),
                             [](const FlowEvent& f) { return f.protocol == IPPROTO_UDP; });
  ASSERT_TRUE(listening);
  auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(),
                        [&](const FlowEvent& f) { return f.remote.port == server; });
  ASSERT_TRUE(open);
  EXPECT_EQ(open->body.direction, FlowDirection::kOutbound);
  EXPECT_EQ(open->body.remote.address, Ip("127.0.0.1"));
  auto accepted = AwaitFlow(FlowStage::kAccepted, cgroup.id(),
                            [&](const FlowEvent& f) { return f.remote.port == client; });
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->body.direction, FlowDirection::kInbound);
  EXPECT_EQ(accepted->body.local.port, server);
  EXPECT_EQ(accepted->body.process.id, open->body.process.id);

  auto sent = AwaitFlow(FlowStage::kClosed, cgroup.id(), [&](const FlowEvent& f) {
    return f.socket_cookie == open->body.socket_cookie;
  });
  auto received = AwaitFlow(FlowStage::kClosed, cgroup.id(), [&](const FlowEvent& f) {
    return f.socket_cookie == accepted->body.socket_cookie;
  });
  ASSERT_TRUE(sent && received);
  EXPECT_EQ(sent->body.sent_bytes, 1000u);
  EXPECT_EQ(sent->body.received_bytes, 2345u);
  EXPECT_EQ(sent->body.sent_packets, 1u);
  EXPECT_EQ(sent->body.received_packets, 1u);
  EXPECT_EQ(received->body.received_bytes, 1000u);
  EXPECT_EQ(received->body.sent_bytes, 2345u);
  EXPECT_EQ(received->body.received_packets, 1u);
  EXPECT_EQ(received->body.sent_packets, 1u);
  EXPECT_EQ(sent->body.direction, FlowDirection::kOutbound);
  EXPECT_EQ(received->body.direction, FlowDirection::kInbound);
  uint64_t counted = 0;
  EXPECT_TRUE(cache()
                  .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                    counted +=
                        slot == open->header.slot ? count.sent_bytes + count.received_bytes : 0;
                    counted +=
                        slot == accepted->header.slot ? count.sent_bytes + count.received_bytes : 0;
                  })
                  .ok());
  EXPECT_EQ(counted, 2 * (1000u + 2345u));
}

TEST_F(UdpTest, ASendToAnIpv6AddressIsAFlowToIt) {
  ScopedCgroup cgroup = WatchedCgroup();
  const Pair ports = RunPair(cgroup, "sendto");
  ExpectClient(cgroup, ports, "::1");
  ExpectServer(cgroup, ports, "::1");
}

TEST_F(UdpTest, AConnectedIpv6SocketIsAFlowToItsPeer) {
  ScopedCgroup cgroup = WatchedCgroup();
  const Pair ports = RunPair(cgroup, "connect");
  ExpectClient(cgroup, ports, "::1");
  ExpectServer(cgroup, ports, "::1");
}

TEST_F(UdpTest, AMappedPeerIsItsIpv4AddressWhetherSentToOrConnected) {
  for (const char* how : {"mapped-sendto", "mapped-connect"}) {
    SCOPED_TRACE(how);
    ScopedCgroup cgroup = WatchedCgroup();
    const Pair ports = RunPair(cgroup, how);
    ExpectClient(cgroup, ports, "127.0.0.1");
    ExpectServer(cgroup, ports, "127.0.0.1");
  }
}

TEST_F(UdpTest, WhatIsBoundToAnIpv6AddressListensAndHearsThere) {
  ScopedCgroup cgroup = WatchedCgroup();
  const Pair ports = RunPair(cgroup, "sendto");
  auto listening = AwaitFlow(FlowStage::kListening, cgroup.id(),
                             [](const FlowEvent& f) { return f.protocol == IPPROTO_UDP; });
  ASSERT_TRUE(listening);
  EXPECT_EQ(listening->body.local.address, Ip("::1"));
  EXPECT_EQ(listening->body.direction, FlowDirection::kInbound);
  EXPECT_EQ(listening->header.reason, Reason::kNews);
  ExpectServer(cgroup, ports, "::1");
}

TEST_F(UdpTest, WhoSendsByIpv4ToAnIpv6SocketIsHeardUnderItsIpv4Address) {
  ScopedCgroup cgroup = WatchedCgroup();
  const Pair ports = RunPair(cgroup, "dual");
  ExpectClient(cgroup, ports, "127.0.0.1");
  ExpectServer(cgroup, ports, "127.0.0.1");
}

TEST_F(UdpTest, AnAnswerToWhoWasHeardBeforeIsNoFlowOfItsOwn) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "udp-server"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const long server = NumberIn(result->out, "server");
  const long first = NumberIn(result->out, "first");
  const long second = NumberIn(result->out, "second");
  auto heard = AwaitFlow(FlowStage::kAccepted, cgroup.id(),
                         [&](const FlowEvent& f) { return f.remote.port == second; });
  ASSERT_TRUE(heard);
  EXPECT_TRUE(heard->body.ephemeral_port);
  EXPECT_EQ(heard->body.local.port, server);
  ASSERT_TRUE(AwaitFlow(FlowStage::kClosed, cgroup.id(), [&](const FlowEvent& f) {
    return f.socket_cookie == heard->body.socket_cookie;
  }));
  EXPECT_EQ(Count<FlowEvent>([&](const FlowEvent& f) {
              return f.stage == FlowStage::kOpen &&
                     (f.remote.port == first || f.remote.port == second);
            }),
            0u);
}

TEST_F(UdpTest, WhoSendsToASocketThatWasNeverBoundIsAnInboundPeer) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "udp-case:unbound"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  const long other = NumberIn(result->out, "other");
  auto heard = AwaitFlow(FlowStage::kAccepted, cgroup.id(),
                         [&](const FlowEvent& f) { return f.remote.port == other; });
  ASSERT_TRUE(heard);
  EXPECT_TRUE(heard->body.ephemeral_port);
  EXPECT_EQ(heard->body.direction, FlowDirection::kInbound);
  EXPECT_EQ(heard->body.local.port, NumberIn(result->out, "port"));
  auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(), [&](const FlowEvent& f) {
    return f.remote.port == NumberIn(result->out, "known");
  });
  ASSERT_TRUE(open);
  uint64_t of_known = 0, of_other = 0;
  EXPECT_TRUE(cache()
                  .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                    of_known += slot == open->header.slot ? count.received_bytes : 0;
                    of_other += slot == heard->header.slot ? count.received_bytes : 0;
                  })
                  .ok());
  EXPECT_EQ(of_known, 0u);
  EXPECT_EQ(of_other, 1000u);
}

TEST_F(UdpTest, AnAnswerToASocketThatAskedAnotherMeanwhileIsNoInboundFlow) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "udp-case:two"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(), [&](const FlowEvent& f) {
    return f.remote.port == NumberIn(result->out, "first");
  });
  ASSERT_TRUE(open);
  ASSERT_TRUE(AwaitFlow(FlowStage::kClosed, cgroup.id(), [&](const FlowEvent& f) {
    return f.socket_cookie == open->body.socket_cookie;
  }));
  EXPECT_EQ(Count<FlowEvent>([&](const FlowEvent& f) {
              return f.stage == FlowStage::kAccepted && f.socket_cookie == open->body.socket_cookie;
            }),
            0u);
  uint64_t of_first = 0;
  EXPECT_TRUE(cache()
                  .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                    of_first += slot == open->header.slot ? count.received_bytes : 0;
                  })
                  .ok());
  EXPECT_EQ(of_first, 1u);
}

TEST_F(UdpTest, ABoundSocketThatWasConnectedForAWhileListensAgain) {
  ScopedCgroup cgroup = WatchedCgroup();
  const ChildResult result = RunAlone(cgroup, {Actor(), "udp-case:dissolve"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  auto heard = AwaitFlow(FlowStage::kAccepted, cgroup.id(), [&](const FlowEvent& f) {
    return f.remote.port == NumberIn(result.out, "other");
  });
  ASSERT_TRUE(heard);
  // The port is part of what it does: it was asked for.
  EXPECT_FALSE(heard->body.ephemeral_port);
  EXPECT_EQ(heard->body.local.port, NumberIn(result.out, "port"));
}

TEST_F(UdpTest, APacketWithAnExtensionHeaderIsCountedAsUnread) {
  ScopedCgroup cgroup = WatchedCgroup();
  const uint64_t before = ErrorCount("unread_datagram");
  const ChildResult result = RunAlone(cgroup, {Actor(), "udp-case:options"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GE(ErrorCount("unread_datagram") - before, 7u);
}

TEST_F(UdpTest, EachDestinationOfASocketIsAFlow) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "udp:3:9"})->exit_code, 0);
  for (const char* address : {"127.0.0.1", "127.0.0.2", "127.0.0.3"}) {
    EXPECT_TRUE(AwaitFlow(FlowStage::kOpen, cgroup.id(), [&](const FlowEvent& f) {
      return f.remote.address == Ip(address) && f.remote.port == 9;
    })) << address;
  }
}

TEST_F(UdpTest, AnAnswerComesWithTheQueryThatItAnswers) {
  ScopedCgroup cgroup = WatchedCgroup();
  const ChildResult result = RunAlone(cgroup, {Actor(), "dns"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  auto answer = Await<DnsEvent>(IsAnswer);
  ASSERT_TRUE(answer);
  auto query = Find<DnsEvent>([](const DnsEvent& dns) { return !dns.is_response; });
  ASSERT_TRUE(query);
  for (const Seen<DnsEvent>& dns : {*query, *answer}) {
    EXPECT_EQ(dns.header.reason, Reason::kContext);
    EXPECT_EQ(dns.body.resolver.address, Ip("127.0.0.2"));
    EXPECT_EQ(dns.body.resolver.port, 53);
    EXPECT_EQ(dns.body.local.port, NumberIn(result.out, "client"));
    EXPECT_EQ(dns.body.process.comm, "vedette_actor");
    EXPECT_EQ(dns.body.process.home_cgroup_id, cgroup.id());
    EXPECT_EQ(dns.body.process.workload_number, WorkloadOf(cgroup.id()));
    EXPECT_FALSE(dns.body.truncated);
  }
  EXPECT_EQ(query->body.socket_cookie, answer->body.socket_cookie);
  // The question is asked and answered with one id; the answer ends with the address.
  EXPECT_EQ(query->body.payload.size(), 24u);
  EXPECT_EQ(answer->body.payload.size(), 24u + 16u);
  EXPECT_EQ(query->body.payload.substr(0, 2), answer->body.payload.substr(0, 2));
  EXPECT_EQ(answer->body.payload.substr(36), std::string("\xc0\x00\x02\x01", 4));
}

TEST_F(UdpTest, SpoofedAnswersDoNotCome) {
  ScopedCgroup cgroup = WatchedCgroup();
  const ChildResult result = RunAlone(cgroup, {Actor(), "dns:spoof"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // The right one was sent last by the same task, so the others would be here with it.
  auto answer = Await<DnsEvent>(IsAnswer);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.payload.back(), '\x01');
  EXPECT_EQ(Count<DnsEvent>(IsAnswer), 1u);
}

TEST_F(UdpTest, TheSameAnswerIsToldOnce) {
  ScopedCgroup cgroup = WatchedCgroup();
  const ChildResult result = RunAlone(cgroup, {Actor(), "dns", "dns", "dns"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // The end of the process comes after all of them, on another ring.
  ASSERT_TRUE(Await<ExitEvent>(
      [&](const ExitEvent& exit) { return exit.process.home_cgroup_id == cgroup.id(); }));
  ReadRings();
  EXPECT_EQ(Count<DnsEvent>(IsAnswer), 1u);
}

TEST_F(UdpTest, TheSameAnswerOfAnotherResolverIsToldToo) {
  ScopedCgroup cgroup = WatchedCgroup();
  const ChildResult result = RunAlone(cgroup, {Actor(), "dns:at:2", "dns:at:3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  ASSERT_TRUE(Await<ExitEvent>(
      [&](const ExitEvent& exit) { return exit.process.home_cgroup_id == cgroup.id(); }));
  ReadRings();
  EXPECT_EQ(Count<DnsEvent>(IsAnswer), 2u);
}

TEST_F(UdpTest, AFloodOfOneWorkloadDoesNotPushOutTheQueryOfAnother) {
  constexpr long kFlood = 5000;
  ScopedCgroup asking = WatchedCgroup("-asking");
  ScopedCgroup flooding = WatchedCgroup("-flooding");
  absl::StatusOr<ScopedNetns> netns = ScopedNetns::Create();
  ASSERT_TRUE(netns.ok()) << netns.status();
  auto child = Child::Spawn({{Actor(), "dns:later"}, {}, asking.fd(), netns->fd()});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(child->ReadLine().ok());
  const uint64_t before = ErrorCount("dns_query");
  ASSERT_EQ(RunAlone(flooding, {Actor(), fmt::format("dns-flood:{}", kFlood)}).exit_code, 0);
  // What one workload has too many of is forgotten and counted.
  EXPECT_EQ(ErrorCount("dns_query") - before, static_cast<uint64_t>(kFlood - WIRE_DNS_SHARE));
  ASSERT_TRUE(child->Write("\n"));
  ASSERT_EQ(child->Wait()->exit_code, 0);
  auto answer = Await<DnsEvent>(IsAnswer);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.process.home_cgroup_id, asking.id());
}

TEST_F(UdpTest, AFloodForgetsTheOldQueriesOfItsOwnWorkload) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ScopedNetns> netns = ScopedNetns::Create();
  ASSERT_TRUE(netns.ok()) << netns.status();
  auto child = Child::Spawn({{Actor(), "dns:later", "dns"}, {}, cgroup.fd(), netns->fd()});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(child->ReadLine().ok());
  const std::string flood = fmt::format("dns-flood:{}", WIRE_DNS_SHARE);
  ASSERT_EQ(RunAlone(cgroup, {Actor(), flood}).exit_code, 0);
  ASSERT_TRUE(child->Write("\n"));
  const ChildResult result = child->Wait().value_or(ChildResult());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // The answer to the old query does not come, that to the next one does.
  auto answer = Await<DnsEvent>(IsAnswer);
  ASSERT_TRUE(answer);
  EXPECT_EQ(Count<DnsEvent>(IsAnswer), 1u);
  const std::string out = result.out;
  EXPECT_EQ(answer->body.local.port, NumberIn(out.substr(out.rfind("dns ")), "client"));
}

TEST_F(UdpTest, WhatAWorkloadWaitedForGoesWithIt) {
  uint64_t number = 0;
  {
    ScopedCgroup cgroup = WatchedCgroup();
    number = WorkloadOf(cgroup.id());
    ASSERT_EQ(RunAlone(cgroup, {Actor(), "dns-flood:10"}).exit_code, 0);
    EXPECT_EQ(Entries("vd_dns_pending"), 10u);
    EXPECT_EQ(Entries("vd_dns_shares"), 1u);
    cache().ForgetCgroup(cgroup.id());
  }
  EXPECT_TRUE(cache().DropUnused(number));
  EXPECT_EQ(Entries("vd_dns_pending"), 0u);
  EXPECT_EQ(Entries("vd_dns_shares"), 0u);
}

TEST_F(UdpTest, AnAnswerInAContainerIsItsWorkloads) {
  RuncOptions options;
  options.host_network = false;
  std::unique_ptr<RuncContainer> container = WatchedContainer(options);
  absl::StatusOr<ChildResult> result = container->Exec({"/bin/vedette_actor", "dns"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto answer = Await<DnsEvent>(IsAnswer);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.process.namespaces.net, NamespaceId(container->pid(), "net"));
  EXPECT_EQ(answer->body.process.workload_number, WorkloadOf(answer->body.process.home_cgroup_id));
}

}  // namespace
}  // namespace vedette::testing
