// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/service_map.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace vedette {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

SlotCounts Hits(uint64_t hits) {
  SlotCounts counts;
  counts.hits = hits;
  return counts;
}

TEST(PeerNameTest, IsReadFromTheObjectOfABehaviour) {
  auto name = PeerNameOf({Channel::kConnect, "net:2001:db8::/64:443/tcp"});
  ASSERT_TRUE(name);
  EXPECT_EQ(name->peer, "net:2001:db8::/64");
  EXPECT_EQ(name->port, 443u);
  EXPECT_EQ(name->protocol, "tcp");
  EXPECT_FALSE(name->inbound);
  name = PeerNameOf({Channel::kAccept, "net:10.0.0.0/24 -> 0/ip-132"});
  ASSERT_TRUE(name);
  EXPECT_EQ(name->peer, "net:10.0.0.0/24");
  EXPECT_EQ(name->port, 0u);
  EXPECT_EQ(name->protocol, "ip-132");
  EXPECT_TRUE(name->inbound);
  for (const Act& none :
       {Act{Channel::kExec, "/bin/a:1/tcp"}, Act{Channel::kListen, "80/tcp"},
        Act{Channel::kConnect, "(more than 256 deviations)"}, Act{Channel::kConnect, "a:b/tcp"},
        Act{Channel::kConnect, "a/tcp"}, Act{Channel::kConnect, ""}}) {
    EXPECT_FALSE(PeerNameOf(none)) << none.object;
  }
}

TEST(LatencyTest, QuantilesAreReckonedWithinABucket) {
  LatencyBuckets buckets = {};
  EXPECT_FALSE(LatencyQuantile(buckets, 0.5));
  buckets[1] = 100;  // 64 to 128 us.
  EXPECT_DOUBLE_EQ(*LatencyQuantile(buckets, 0.5), 96e-6);
  EXPECT_DOUBLE_EQ(*LatencyQuantile(buckets, 1.0), 128e-6);
  buckets[15] = 100;
  EXPECT_DOUBLE_EQ(*LatencyQuantile(buckets, 0.99), 64e-6 * (1 << 14));
  EXPECT_TRUE(std::isinf(LatencyBound(15)));
  EXPECT_DOUBLE_EQ(LatencyBound(14), 64e-6 * (1 << 14));
}

TEST(ServiceMapTest, AddsUpAllCodeAndWhatWasBefore) {
  ServiceMap map;
  BehaviourRecord record;
  record.behaviour = {Channel::kConnect, "/bin/a", "", "workload:host/db:5432/tcp", "", ""};
  record.count = 10;
  record.sent_bytes = 7;
  record.last_seen = kNow;
  map.Seed("host/a", record);
  record.behaviour.subject = "/bin/b";
  map.Seed("host/a", record);
  const Act act = {Channel::kConnect, record.behaviour.object};
  SlotCounts counts = Hits(3);
  counts.retransmits = 2;
  counts.latency[4] = 3;
  map.Add("host/a", act, counts, kNow + absl::Seconds(5));
  map.Add("host/a", {Channel::kExec, "/bin/ls"}, Hits(1), kNow);
  map.Add("host/a", {Channel::kConnect, "dns:db:5432/tcp"}, Hits(1), kNow);
  map.SetPeerWorkload("host/a", {Channel::kConnect, "dns:db:5432/tcp"}, "host/db");
  const auto list = map.List();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]->name.peer, "dns:db");
  EXPECT_EQ(list[0]->peer_workload, "host/db");
  EXPECT_EQ(list[1]->connections, 23u);
  EXPECT_EQ(list[1]->sent_bytes, 14u);
  EXPECT_EQ(list[1]->retransmits, 2u);
  EXPECT_EQ(list[1]->latency[4], 3u);
  EXPECT_EQ(list[1]->peer_workload, "host/db");
  EXPECT_EQ(list[1]->last_seen, kNow + absl::Seconds(5));
}

TEST(ServiceMapTest, BeyondItsBoundsPeersAreAddedUp) {
  ServiceMap map({.total = 10, .per_workload = 4});
  for (int workload = 0; workload < 5; ++workload) {
    for (int peer = 0; peer < 6; ++peer) {
      map.Add(fmt::format("host/{}", workload),
              {Channel::kConnect, fmt::format("dns:p{}:80/tcp", peer)}, Hits(1), kNow);
    }
  }
  uint64_t connections = 0;
  size_t others = 0;
  for (const ServicePeer* peer : map.List()) {
    connections += peer->connections;
    others += peer->name.peer == kOtherPeer ? 1 : 0;
  }
  EXPECT_EQ(connections, 30u);
  EXPECT_EQ(others, 5u);
  EXPECT_EQ(map.size(), 10u);
  EXPECT_EQ(map.folded(), 20u);
}

}  // namespace
}  // namespace vedette
