// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/peer.h"

#include <gtest/gtest.h>

#include "agent/enrich/resolvers.h"

namespace vedette {
namespace {

constexpr uint8_t kTcp = 6;
const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

IpAddress Ip(const char* text) { return ParseIpAddress(text).value(); }

FlowEvent Listener(uint32_t net, const char* address, uint16_t port, uint64_t cookie = 1) {
  FlowEvent flow;
  flow.process.namespaces.net = net;
  flow.stage = FlowStage::kListening;
  flow.protocol = kTcp;
  flow.local = {Ip(address), port};
  flow.socket_cookie = cookie;
  return flow;
}

FlowEvent Connect(uint32_t net, const char* local, const char* remote, uint16_t port) {
  FlowEvent flow;
  flow.process.namespaces.net = net;
  flow.protocol = kTcp;
  flow.local = {Ip(local), 40000};
  flow.remote = {Ip(remote), port};
  return flow;
}

TEST(NetworkOfTest, KindsOfAddresses) {
  EXPECT_EQ(NetworkOf(Ip("10.1.2.3")), "10.1.2.0/24");
  EXPECT_EQ(NetworkOf(Ip("::ffff:10.1.2.3")), "10.1.2.0/24");
  EXPECT_EQ(NetworkOf(Ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  EXPECT_EQ(NetworkOf(Ip("127.8.0.1")), "loopback");
  EXPECT_EQ(NetworkOf(Ip("::1")), "loopback");
  EXPECT_EQ(NetworkOf(Ip("0.0.0.0")), "loopback");
  EXPECT_EQ(NetworkOf(Ip("::")), "loopback");
  EXPECT_EQ(NetworkOf(Ip("169.254.3.4")), "link-local");
  EXPECT_EQ(NetworkOf(Ip("169.254.169.254")), "169.254.169.254/32");
  EXPECT_EQ(NetworkOf(Ip("fe80::1")), "link-local");
  EXPECT_EQ(NetworkOf(Ip("febf::1")), "link-local");
  EXPECT_EQ(NetworkOf(Ip("fec0::1")), "fec0::/64");
  EXPECT_EQ(NetworkOf(Ip("224.0.0.251")), "multicast");
  EXPECT_EQ(NetworkOf(Ip("240.0.0.1")), "240.0.0.0/24");
  EXPECT_EQ(NetworkOf(Ip("ff02::fb")), "multicast");
  EXPECT_EQ(NetworkOf(Ip("255.255.255.255")), "broadcast");
}

TEST(PeerInfoTest, TheBestNameWins) {
  PeerInfo peer;
  peer.network = "10.1.2.0/24";
  EXPECT_EQ(peer.StableName(), "net:10.1.2.0/24");
  peer.workload = "host/db";
  EXPECT_EQ(peer.StableName(), "workload:host/db");
  peer.dns_name = "db.example";
  EXPECT_EQ(peer.StableName(), "dns:db.example");
}

TEST(ListenerTableTest, FindsListenersOnLoopbackAndOnAllAddresses) {
  ListenerTable table;
  table.Listen("db", Listener(1, "127.0.0.1", 5432), kNow);
  table.Listen("web", Listener(1, "0.0.0.0", 80), kNow);
  table.Listen("six", Listener(1, "::", 8080), kNow);
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 5432)), "db");
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 80)), "web");
  EXPECT_EQ(table.PeerOf(Connect(1, "10.0.0.5", "10.0.0.5", 80)), "web");
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 8080)), "six");
  EXPECT_EQ(table.PeerOf(Connect(1, "::1", "::1", 8080)), "six");
  EXPECT_EQ(table.PeerOf(Connect(1, "::1", "::1", 80)), "");
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 81)), "");
}

TEST(ListenerTableTest, AForeignPeerCannotBorrowAListenersName) {
  ListenerTable table;
  table.Listen("evil", Listener(1, "0.0.0.0", 443), kNow);
  table.Listen("evil", Listener(1, "203.0.113.9", 443), kNow);  // IP_FREEBIND.
  table.Listen("evil", Listener(2, "127.0.0.1", 5432), kNow);   // In a namespace of its own.
  EXPECT_EQ(table.PeerOf(Connect(1, "10.0.0.5", "203.0.113.9", 443)), "");
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 5432)), "");
}

TEST(ListenerTableTest, ProtocolAndDirectionCount) {
  ListenerTable table;
  table.Listen("db", Listener(1, "127.0.0.1", 53), kNow);
  FlowEvent flow = Connect(1, "127.0.0.1", "127.0.0.1", 53);
  flow.protocol = 17;
  EXPECT_EQ(table.PeerOf(flow), "");
  flow.protocol = kTcp;
  flow.direction = FlowDirection::kInbound;
  EXPECT_EQ(table.PeerOf(flow), "");
}

TEST(ListenerTableTest, ANewListenerReplacesTheOldAndOnlyItsOwnCloseForgetsIt) {
  ListenerTable table;
  table.Listen("old", Listener(1, "127.0.0.1", 80, 1), kNow);
  table.Listen("new", Listener(1, "127.0.0.1", 80, 2), kNow);
  EXPECT_EQ(table.size(), 1u);
  table.Close(Listener(1, "127.0.0.1", 80, 1));
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 80)), "new");
  table.Close(Listener(1, "127.0.0.1", 80, 2));
  EXPECT_EQ(table.size(), 0u);
}

TEST(ListenerTableTest, AWorkloadWithManyPortsForgetsOnlyItsOwn) {
  ListenerTable table({.total = 6, .per_workload = 4});
  table.Listen("quiet", Listener(1, "127.0.0.1", 5432), kNow);
  for (uint16_t port = 1000; port < 2000; ++port) {
    table.Listen("loud", Listener(1, "127.0.0.1", port), kNow);
  }
  EXPECT_EQ(table.size(), 5u);
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 5432)), "quiet");
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 1995)), "");
  EXPECT_EQ(table.PeerOf(Connect(1, "127.0.0.1", "127.0.0.1", 1996)), "loud");
  EXPECT_EQ(table.reasons().count("workload_full"), 996u);
  table.Listen("third", Listener(1, "127.0.0.1", 1), kNow);
  table.Listen("fourth", Listener(1, "127.0.0.1", 2), kNow);
  EXPECT_EQ(table.reasons().count("table_full"), 1u);
  EXPECT_EQ(table.size(), 6u);
}

TEST(ListenerTableTest, AScanKnowsWhoTookAPortWithoutARecord) {
  ListenerTable table;
  const FlowEvent to = Connect(1, "0.0.0.0", "127.0.0.1", 80);
  table.Listen("old", Listener(1, "127.0.0.1", 80, 1), kNow);
  const FlowEvent taken = Listener(1, "127.0.0.1", 80, 2);
  table.Scan({{"new", &taken}}, kNow + absl::Seconds(1));
  EXPECT_EQ(table.PeerOf(to), "new");
  // A record of the old one that comes late does not bring it back.
  table.Listen("old", Listener(1, "127.0.0.1", 80, 1), kNow);
  EXPECT_EQ(table.PeerOf(to), "new");
  // Whoever is not known takes the name away.
  const FlowEvent unknown = Listener(1, "127.0.0.1", 80, 3);
  table.Scan({{"", &unknown}}, kNow + absl::Seconds(2));
  EXPECT_EQ(table.PeerOf(to), "");
}

TEST(ListenerTableTest, AListenerThatIsGoneKeepsItsNameForAMomentIfNobodyElseListens) {
  ListenerTable table;
  const FlowEvent to = Connect(1, "0.0.0.0", "127.0.0.1", 80);
  table.Listen("old", Listener(1, "127.0.0.1", 80, 1), kNow);
  table.Scan({}, kNow + absl::Seconds(1));
  EXPECT_EQ(table.PeerOf(to), "old");
  const FlowEvent everywhere = Listener(1, "0.0.0.0", 80, 2);
  table.Scan({{"new", &everywhere}}, kNow + absl::Seconds(2));
  EXPECT_EQ(table.PeerOf(to), "new");
  table.Scan({}, kNow + absl::Seconds(1) + kListenerGrace);
  EXPECT_EQ(table.PeerOf(to), "new");
  table.Scan({}, kNow + absl::Hours(1));
  EXPECT_EQ(table.PeerOf(to), "");
  EXPECT_EQ(table.size(), 0u);
  // Begun and ended between two scans: its record comes after the scan that did not see it.
  table.Listen("brief", Listener(1, "127.0.0.1", 80, 3), kNow + absl::Minutes(59));
  EXPECT_EQ(table.PeerOf(to), "brief");
  table.Scan({}, kNow + absl::Hours(1) + kListenerGrace);
  EXPECT_EQ(table.PeerOf(to), "");
}

TEST(ListenerTableTest, APortThatWorkloadsShareHasNoName) {
  ListenerTable table;
  const FlowEvent one = Listener(1, "127.0.0.1", 80, 1);
  const FlowEvent other = Listener(1, "127.0.0.1", 80, 2);
  table.Scan({{"web", &one}, {"web", &other}}, kNow);
  EXPECT_EQ(table.PeerOf(Connect(1, "0.0.0.0", "127.0.0.1", 80)), "web");
  table.Scan({{"web", &one}, {"evil", &other}}, kNow + absl::Seconds(1));
  EXPECT_EQ(table.PeerOf(Connect(1, "0.0.0.0", "127.0.0.1", 80)), "");
  EXPECT_EQ(table.reasons().count("shared_port"), 1u);
}

}  // namespace
}  // namespace vedette
