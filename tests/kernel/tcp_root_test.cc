// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <bit>
#include <numeric>

#include "agent/base/unique_fd.h"
#include "bpf/lib/socket_owner.h"
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

  // Where the table of connections has the socket.
  std::optional<std::pair<uint32_t, connection>> PlaceOf(int fd) {
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
    connection place = {};
    for (uint32_t i = 0; bpf_map_lookup_elem(probes().MapFd("vd_connections"), &i, &place) == 0;
         ++i) {
      if (place.holder >> 2 == cookie) {
        return std::make_pair(i, place);
      }
    }
    return std::nullopt;
  }

  // What the programs know of a TCP socket, in the table or in its storage.
  std::optional<socket_owner> OwnerOf(int fd) {
    if (auto place = PlaceOf(fd)) {
      return place->second.socket;
    }
    socket_owner owner = {};
    return bpf_map_lookup_elem(probes().MapFd("vd_sockets"), &fd, &owner) == 0
               ? std::optional(owner)
               : std::nullopt;
  }

  static UniqueFd ConnectTo(const std::string& port) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }

  // A port that nobody has at the moment.
  static std::string FreePort() {
    absl::StatusOr<ChildResult> result = Child::Run({Actor(), "bind"});
    EXPECT_TRUE(result.ok()) << result.status();
    return std::to_string(NumberIn(result->out, "port"));
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
  uint64_t MeasuredOf(const CacheSlot& slot) {
    const BehaviourCount count = CountOf(slot);
    return std::accumulate(count.latency.begin(), count.latency.end(), uint64_t{0});
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

TEST_F(TcpTest, TheRoundTripOfAnAcceptedConnectionIsCountedOnce) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "flow:1000"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto in = AwaitFlow(FlowStage::kClosed, cgroup.id(),
                      [](const FlowEvent& f) { return f.direction == FlowDirection::kInbound; });
  ASSERT_TRUE(in);
  const auto rtt_us = static_cast<uint64_t>(absl::ToInt64Microseconds(in->body.smoothed_rtt));
  ASSERT_GT(rtt_us, 0u);
  BehaviourCount expected;
  expected.latency[std::min<size_t>(std::bit_width(rtt_us / 64), 15)] = 1;
  EXPECT_EQ(CountOf(in->header.slot).latency, expected.latency) << rtt_us << " us";
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
  auto closed = AwaitFlow(FlowStage::kClosed, servers.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->body.user, closed->body.process.id) << "who closed it used it";
}

TEST_F(TcpTest, AListenerAtAnyAddressOwnsWhatItAccepts) {
  const char* any[] = {"::ffff:0.0.0.0", "::", "0.0.0.0"};
  for (const char* listening : any) {
    for (const char* reached : {"::ffff:127.0.0.2", "::1"}) {
      const bool is_v4 = std::string_view(listening).find(':') == std::string_view::npos;
      if (is_v4 + (listening == any[0]) > 0 && std::string_view(reached) == "::1") {
        continue;
      }
      SCOPED_TRACE(std::string(listening) + " " + reached);
      UniqueFd listener(socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in6 at = {};
      at.sin6_family = is_v4 ? AF_INET : AF_INET6;  // sockaddr_in begins alike, and 0 is any.
      if (!is_v4) {
        inet_pton(AF_INET6, listening, &at.sin6_addr);
      }
      socklen_t size = is_v4 ? sizeof(sockaddr_in) : sizeof(at);
      ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
      ASSERT_EQ(listen(listener.get(), 1), 0);
      ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
      UniqueFd client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in6 to = {};
      to.sin6_family = AF_INET6;
      to.sin6_port = at.sin6_port;
      inet_pton(AF_INET6, reached, &to.sin6_addr);
      ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
      UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::optional<socket_owner> owner = OwnerOf(accepted.get());
      ASSERT_TRUE(owner);
      EXPECT_EQ(owner->owner.tgid, static_cast<uint32_t>(getpid()));
      EXPECT_EQ(owner->key.verb, WIRE_VERB_ACCEPT);
    }
  }
}

TEST_F(TcpTest, ListenersOfOnePortKeepTheirOwners) {
  ScopedCgroup cgroups[] = {WatchedCgroup(), WatchedCgroup()};
  const std::string port = FreePort();
  std::vector<Child> servers;
  for (ScopedCgroup& cgroup : cgroups) {
    absl::StatusOr<Child> server = cgroup.Spawn({Actor(), "serve:100:" + port + ":shared"});
    ASSERT_TRUE(server.ok() && server->ReadLine().ok());
    servers.push_back(*std::move(server));
  }
  // Which of the two accepts is the kernel's choice, by a hash of the client's port.
  ASSERT_EQ(Child::Run({Actor(), "connect:" + port + ":40"})->exit_code, 0);
  for (int i = 0; i < 2; ++i) {
    auto accept = AwaitFlow(FlowStage::kAccepted, cgroups[i].id(), [&](const FlowEvent& f) {
      return std::to_string(f.local.port) == port;
    });
    ASSERT_TRUE(accept);
    EXPECT_EQ(accept->body.process.tgid, static_cast<uint32_t>(servers[i].pid()));
    auto closed = AwaitFlow(FlowStage::kClosed, cgroups[i].id(),
                            [](const FlowEvent& f) { return !f.user.unknown(); });
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->body.user.tgid, static_cast<uint32_t>(servers[i].pid()))
        << "the owner is who really accepted it";
  }
}

TEST_F(TcpTest, AListenersNameGoesToTheNextWhenItCloses) {
  ScopedCgroup first = WatchedCgroup(), second = WatchedCgroup();
  const std::string port = FreePort();
  for (ScopedCgroup* cgroup : {&first, &second}) {
    absl::StatusOr<Child> server = cgroup->Spawn({Actor(), "serve:1:" + port + ":shared"});
    ASSERT_TRUE(server.ok() && server->ReadLine().ok());
    ASSERT_EQ(Child::Run({Actor(), "connect:" + port})->exit_code, 0);
    ASSERT_EQ(server->Wait()->exit_code, 0);
    auto accept =
        AwaitFlow(FlowStage::kAccepted, cgroup->id(), [](const FlowEvent&) { return true; });
    ASSERT_TRUE(accept);
    EXPECT_EQ(accept->body.process.tgid, static_cast<uint32_t>(server->pid()));
  }
}

TEST_F(TcpTest, WithoutAFreePlaceEverythingIsAsExact) {
  const int map = probes().MapFd("vd_connections");
  connection taken = {};
  taken.holder = ~uint64_t{0} - 3;
  for (uint32_t i = 0; bpf_map_update_elem(map, &i, &taken, BPF_EXIST) == 0; ++i) {
  }
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<ChildResult> result = cgroup.Run({Actor(), "flow:1000"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto closed = [&](FlowDirection direction) {
    return AwaitFlow(FlowStage::kClosed, cgroup.id(),
                     [&](const FlowEvent& f) { return f.direction == direction; });
  };
  auto out = closed(FlowDirection::kOutbound), in = closed(FlowDirection::kInbound);
  ASSERT_TRUE(out && in);
  EXPECT_EQ(CountOf(out->header.slot).sent_bytes, 1000u);
  EXPECT_EQ(CountOf(in->header.slot).received_bytes, 1000u);
  EXPECT_GE(ErrorCount("connection_table_full"), 2u);
}

TEST_F(TcpTest, APlaceIsGivenBackByWhoeverLeavesItLast) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string port = FreePort();
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), "serve:1:" + port});
  ASSERT_TRUE(server.ok() && server->ReadLine().ok());
  UniqueFd client = ConnectTo(port);
  ASSERT_TRUE(AwaitFlow(FlowStage::kAccepted, cgroup.id(), [](const FlowEvent&) { return true; }));
  auto place = PlaceOf(client.get());
  ASSERT_TRUE(place);
  // As if the minute's look were at it while it closes.
  place->second.holder |= 1;
  const int map = probes().MapFd("vd_connections");
  ASSERT_EQ(bpf_map_update_elem(map, &place->first, &place->second, BPF_EXIST), 0);
  client.Reset();
  ASSERT_EQ(server->Wait()->exit_code, 0);
  connection now = {};
  EXPECT_TRUE(WaitFor([&] {
    return bpf_map_lookup_elem(map, &place->first, &now) == 0 &&
           now.holder == (place->second.holder | 2);
  })) << "it must not be given to another socket: "
      << now.holder;
}

TEST_F(TcpTest, ASocketWhoseConnectWasRefusedAtOnceLeavesNothing) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
  ASSERT_NE(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  auto place = PlaceOf(fd.get());
  ASSERT_TRUE(place) << "no change of state tells of it";
  fd.Reset();
  connection now = {};
  ASSERT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_connections"), &place->first, &now), 0);
  EXPECT_NE(now.holder, place->second.holder);
}

TEST_F(TcpTest, ASocketHasOnePlaceAlsoWhenABetterOneBecomesFree) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
  const auto refused = [&] {
    return connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0;
  };
  const int table = probes().MapFd("vd_connections");
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  ASSERT_EQ(getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
  // Somebody else is at the first place that it looks at, and leaves.
  const uint32_t first = static_cast<uint32_t>(cookie) & (8192 - 1);
  connection place = {};
  place.holder = ~uint64_t{0} << 2;
  ASSERT_EQ(bpf_map_update_elem(table, &first, &place, BPF_ANY), 0);
  ASSERT_TRUE(refused());
  place = {};
  ASSERT_EQ(bpf_map_update_elem(table, &first, &place, BPF_ANY), 0);
  ASSERT_TRUE(refused());
  fd.Reset();
  for (uint32_t i = 0; bpf_map_lookup_elem(table, &i, &place) == 0; ++i) {
    EXPECT_NE(place.holder >> 2, cookie) << i;
  }
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
  auto accepted =
      AwaitFlow(FlowStage::kClosed, servers.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(accepted);
  for (const ScopedCgroup* cgroup : {&servers, &clients}) {
    ASSERT_TRUE(cache().SetTap(WorkloadOf(cgroup->id()), false).ok());
  }
  Forget();
  ASSERT_EQ(clients.Run({Actor(), "connect:" + port + ":100"})->exit_code, 0);
  ASSERT_EQ(server->Wait()->exit_code, 0);
  ASSERT_TRUE(WaitFor([&] { return CountOf(open->header.slot).acts == 101; }));
  // How long connecting took is counted when a connection ends, and so is the round trip of what
  // was accepted.
  EXPECT_TRUE(WaitFor([&] { return MeasuredOf(open->header.slot) == 101; }));
  EXPECT_TRUE(WaitFor([&] { return MeasuredOf(accepted->header.slot) == 101; }))
      << MeasuredOf(accepted->header.slot);
  ReadRings();
  EXPECT_EQ(Count<FlowEvent>([](const FlowEvent&) { return true; }), 0u);
}

}  // namespace
}  // namespace vedette::testing
