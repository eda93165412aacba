// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_tracker.h"

#include <gtest/gtest.h>

#include <string>

#include "agent/enrich/dns_test_messages.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr char kData[] = "\x0a\x01\x02\x03";
const absl::Time kNow = absl::FromUnixSeconds(1700000000);

IpAddress Ip(const char* text) { return ParseIpAddress(text).value(); }

class DnsTrackerTest : public testing::Test {
 protected:
  DnsTrackerTest() { tracker_.SetResolvers({Ip("10.0.0.53")}); }

  DnsEvent Message(std::string payload, bool is_response, uint64_t cookie = 9) {
    DnsEvent event;
    event.is_response = is_response;
    event.local = {Ip("10.1.1.1"), 40000};
    event.resolver = {Ip("10.0.0.53"), 53};
    event.socket_cookie = cookie;
    event.payload = std::move(payload);
    return event;
  }
  void Ask(const std::string& workload, uint16_t id, const std::string& name) {
    tracker_.Observe(workload, Message(DnsQueryBytes(id, name, kDnsTypeA), false), kNow);
  }
  void Answer(const std::string& workload, uint16_t id, const std::string& name,
              uint32_t ttl_s = 60) {
    tracker_.Observe(workload, Message(AnswerBytes(id, name, ttl_s), true), kNow);
  }
  static std::string AnswerBytes(uint16_t id, const std::string& name, uint32_t ttl_s = 60) {
    return DnsResponseBytes(id, name, kDnsTypeA, {{name, kDnsTypeA, ttl_s, kData}});
  }
  std::string NameFor(const std::string& workload, absl::Duration later = absl::ZeroDuration()) {
    return tracker_.NameOf(workload, Ip("10.1.2.3"), kNow + later);
  }

  DnsTracker tracker_;
};

TEST_F(DnsTrackerTest, AClockThatIsSetNeitherEndsNorProlongsNames) {
  Ask("a", 1, "db.example");
  Answer("a", 1, "db.example", 3600);
  absl::Time now = kNow;
  for (const absl::Duration step : {absl::Hours(5), -absl::Hours(9), absl::Hours(4)}) {
    now += step;
    tracker_.names().Move(step);
    tracker_.names().Expire(now);
  }
  EXPECT_EQ(NameFor("a", absl::Minutes(59)), "db.example");
  EXPECT_EQ(NameFor("a", absl::Minutes(61)), "");
}

TEST_F(DnsTrackerTest, ThePeerHasTheNameThatThisWorkloadAskedFor) {
  Ask("a", 1, "DB.example");
  Answer("a", 1, "db.EXAMPLE");
  EXPECT_EQ(NameFor("a"), "db.example");
  EXPECT_EQ(NameFor("b"), "");
  EXPECT_EQ(tracker_.accepted(), 1u);
}

TEST_F(DnsTrackerTest, AnAliasGivesTheNameThatWasAsked) {
  Ask("a", 1, "www.example");
  tracker_.Observe(
      "a",
      Message(DnsResponseBytes(1, "www.example", kDnsTypeA,
                               {{"cdn.net", kDnsTypeA, 60, kData},
                                {"edge.example", kDnsTypeCname, 60, DnsName("cdn.net")},
                                {"www.example", kDnsTypeCname, 60, DnsName("edge.example")}}),
              true),
      kNow);
  EXPECT_EQ(NameFor("a"), "www.example");
}

TEST_F(DnsTrackerTest, RecordsThatDoNotAnswerTheQuestionAreIgnored) {
  Ask("a", 1, "www.example");
  tracker_.Observe(
      "a",
      Message(DnsResponseBytes(1, "www.example", kDnsTypeA,
                               {{"bank.example", kDnsTypeA, 60, kData},
                                {"x.example", kDnsTypeCname, 60, DnsName("x.example")}}),
              true),
      kNow);
  EXPECT_EQ(NameFor("a"), "");
  EXPECT_EQ(tracker_.accepted(), 1u);
}

TEST_F(DnsTrackerTest, AliasesInALoopEnd) {
  Ask("a", 1, "a.example");
  tracker_.Observe("a",
                   Message(DnsResponseBytes(1, "a.example", kDnsTypeA,
                                            {{"a.example", kDnsTypeCname, 60, DnsName("b.example")},
                                             {"b.example", kDnsTypeCname, 60, DnsName("a.example")},
                                             {"b.example", kDnsTypeA, 60, kData}}),
                           true),
                   kNow);
  EXPECT_EQ(NameFor("a"), "a.example");
}

TEST_F(DnsTrackerTest, AnAnswerNobodyAskedForIsRefused) {
  Answer("a", 1, "db.example");
  EXPECT_EQ(tracker_.reasons().count("unsolicited"), 1u);
  Ask("a", 1, "db.example");
  Answer("a", 2, "db.example");                                                  // Another id.
  tracker_.Observe("a", Message(AnswerBytes(1, "db.example"), true, 10), kNow);  // Another socket.
  Answer("b", 1, "db.example");  // Another workload.
  DnsEvent port = Message(AnswerBytes(1, "db.example"), true);
  port.local.port = 40001;
  tracker_.Observe("a", port, kNow);
  tracker_.Observe("a", Message(AnswerBytes(1, "db.example"), true),
                   kNow + kDnsQueryLifetime + absl::Seconds(1));
  EXPECT_EQ(tracker_.reasons().count("unsolicited"), 6u);
  EXPECT_EQ(NameFor("a"), "");
}

TEST_F(DnsTrackerTest, ASecondAnswerToOneQueryIsRefused) {
  Ask("a", 1, "db.example");
  Answer("a", 1, "db.example");
  Answer("a", 1, "db.example");
  EXPECT_EQ(tracker_.reasons().count("unsolicited"), 1u);
}

TEST_F(DnsTrackerTest, AnAnswerToAnotherQuestionIsRefusedAndTheRightOneStillCounts) {
  Ask("a", 1, "db.example");
  Answer("a", 1, "bank.example");
  EXPECT_EQ(tracker_.reasons().count("mismatch"), 1u);
  EXPECT_EQ(NameFor("a"), "");
  Answer("a", 1, "db.example");
  EXPECT_EQ(NameFor("a"), "db.example");
}

TEST_F(DnsTrackerTest, UntrustedResolversAreRefusedAlsoOnLoopback) {
  for (const char* address : {"10.0.0.54", "127.0.0.53", "::1"}) {
    DnsEvent query = Message(DnsQueryBytes(1, "db.example", kDnsTypeA), false);
    DnsEvent answer = Message(AnswerBytes(1, "db.example"), true);
    query.resolver.address = answer.resolver.address = Ip(address);
    tracker_.Observe("a", query, kNow);
    tracker_.Observe("a", answer, kNow);
  }
  DnsEvent other_port = Message(DnsQueryBytes(1, "db.example", kDnsTypeA), false);
  other_port.resolver.port = 5353;
  tracker_.Observe("a", other_port, kNow);
  EXPECT_EQ(tracker_.reasons().count("untrusted_resolver"), 7u);
  EXPECT_EQ(NameFor("a"), "");
  tracker_.SetResolvers({Ip("127.0.0.53")});
  DnsEvent query = Message(DnsQueryBytes(1, "db.example", kDnsTypeA), false);
  query.resolver.address = Ip("127.0.0.53");
  tracker_.Observe("a", query, kNow);
  DnsEvent answer = Message(AnswerBytes(1, "db.example"), true);
  answer.resolver.address = Ip("127.0.0.53");
  tracker_.Observe("a", answer, kNow);
  EXPECT_EQ(NameFor("a"), "db.example");
}

TEST_F(DnsTrackerTest, JunkAndWrongDirectionsAreCountedAsMalformed) {
  tracker_.Observe("a", Message("\xff\xff", true), kNow);
  tracker_.Observe("a", Message(AnswerBytes(1, "db.example"), false), kNow);
  tracker_.Observe("a", Message(DnsQueryBytes(1, "db.example", kDnsTypeA), true), kNow);
  EXPECT_EQ(tracker_.reasons().count("malformed"), 3u);
}

TEST_F(DnsTrackerTest, TimeToLiveHasAFloorAndACap) {
  Ask("a", 1, "short.example");
  Answer("a", 1, "short.example", 0);
  EXPECT_EQ(NameFor("a", kMinDnsTtl), "short.example");
  EXPECT_EQ(NameFor("a", kMinDnsTtl + absl::Seconds(1)), "");
  Ask("a", 2, "long.example");
  Answer("a", 2, "long.example", 0xffffffff);
  EXPECT_EQ(NameFor("a", kMaxDnsTtl), "long.example");
  EXPECT_EQ(NameFor("a", kMaxDnsTtl + absl::Seconds(1)), "");
}

TEST_F(DnsTrackerTest, AQueryFromASocketThatIsNotBoundYetMatches) {
  DnsEvent query = Message(DnsQueryBytes(1, "db.example", kDnsTypeA), false);
  query.local = {Ip("0.0.0.0"), 0};
  tracker_.Observe("a", query, kNow);
  Answer("a", 1, "db.example");
  EXPECT_EQ(NameFor("a"), "db.example");
}

TEST_F(DnsTrackerTest, AFloodingWorkloadForgetsOnlyItsOwnNames) {
  Ask("quiet", 1, "db.example");
  Answer("quiet", 1, "db.example");
  Ask("quiet", 2, "later.example");
  for (int i = 0; i < 5000; ++i) {
    const std::string name = fmt::format("n{}.example", i);
    const auto id = static_cast<uint16_t>(i);
    const std::string data = {10, 2, static_cast<char>(i >> 8), static_cast<char>(i)};
    Ask("loud", id, name);
    tracker_.Observe(
        "loud", Message(DnsResponseBytes(id, name, kDnsTypeA, {{name, kDnsTypeA, 60, data}}), true),
        kNow);
    Ask("loud", static_cast<uint16_t>(60000 - i), "unanswered.example");
  }
  EXPECT_EQ(tracker_.NameOf("loud", Ip("10.2.0.0"), kNow), "");
  EXPECT_EQ(tracker_.NameOf("loud", Ip("10.2.19.135"), kNow), "n4999.example");
  EXPECT_EQ(NameFor("quiet"), "db.example");
  Answer("quiet", 2, "later.example");
  EXPECT_EQ(NameFor("quiet"), "later.example");
}

}  // namespace
}  // namespace vedette
