// SPDX-License-Identifier: Apache-2.0
#include "agent/health/workload_series.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace vedette {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Act Connect(const std::string& peer) { return {Channel::kConnect, peer}; }

SlotCounts Some(uint64_t hits, uint64_t failures = 0) {
  SlotCounts counts;
  counts.hits = hits;
  counts.failures = failures;
  counts.sent_bytes = 10 * hits;
  counts.received_bytes = 100 * hits;
  counts.retransmits = 1;
  counts.latency[2] = hits;
  return counts;
}

std::string Text(const WorkloadSeries& series) {
  MetricSet metrics;
  AddWorkloadMetrics(series.Sample(), metrics);
  return metrics.Render();
}

// Samples that are not about the series themselves.
size_t CountSeries(const std::string& text) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find("{workload=", at)) != std::string::npos; ++at) {
    ++count;
  }
  return count;
}

uint64_t Total(const SeriesSample& sample, uint64_t SlotCounts::* field) {
  uint64_t total = 0;
  for (const PeerSeries& peer : sample.peers) {
    total += peer.counts.*field;
  }
  return total;
}

TEST(WorkloadSeriesTest, CountsByWorkloadPeerAndDirection) {
  WorkloadSeries series(2000);
  series.Count("host/a", {Channel::kExec, "/bin/ls"}, Some(3));
  series.Count("host/a", Connect("dns:db.example:5432/tcp"), Some(2, 1));
  series.Count("host/a", Connect("dns:db.example:5432/tcp"), Some(1));
  series.Count("host/a", {Channel::kAccept, "net:10.0.0.0/24 -> 80/tcp"}, Some(4));
  series.CountNew("host/a", false);
  series.CountNew("host/a", true);
  const std::string text = Text(series);
  const std::string db =
      R"({workload="host/a",direction="outbound",peer="dns:db.example",port="5432",protocol="tcp")";
  EXPECT_THAT(text, HasSubstr("vedette_workload_execs_total{workload=\"host/a\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vedette_workload_new_behaviours_total{workload=\"host/a\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("vedette_workload_deviations_total{workload=\"host/a\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_connections_total" + db + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_failures_total" + db + "} 1\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_sent_bytes_total" + db + "} 30\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_received_bytes_total" + db + "} 300\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_retransmits_total" + db + "} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("vedette_peer_connect_seconds_bucket" + db + ",le=\"0.000128\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("vedette_peer_connect_seconds_bucket" + db + ",le=\"0.000256\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_connect_seconds_bucket" + db + ",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_connect_seconds_count" + db + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_connections_total{workload=\"host/a\",direction="
                              "\"inbound\",peer=\"net:10.0.0.0/24\",port=\"80\","
                              "protocol=\"tcp\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("vedette_peer_rtt_seconds_count{workload=\"host/a\",direction="
                              "\"inbound\",peer=\"net:10.0.0.0/24\",port=\"80\","
                              "protocol=\"tcp\"} 4\n"));
  EXPECT_THAT(text,
              Not(HasSubstr("connect_seconds_count{workload=\"host/a\",direction=\"inbound\"")));
  EXPECT_THAT(text, Not(HasSubstr("rtt_seconds_count{workload=\"host/a\",direction=\"outbound\"")));
}

TEST(WorkloadSeriesTest, AnAnswerWithAnErrorIsADnsFailureOfItsWorkload) {
  WorkloadSeries series(2000);
  SlotCounts counts;
  counts.hits = 5;
  counts.failures = 2;
  series.Count("host/a", Connect("net:loopback:53/udp"), counts);
  series.Count("host/a", Connect("dns:x:53/tcp"), Some(1, 1));
  series.Count("host/a", {Channel::kAccept, "net:loopback -> 53/udp"}, counts);
  EXPECT_THAT(Text(series),
              HasSubstr("vedette_workload_dns_failures_total{workload=\"host/a\"} 2\n"));
}

TEST(WorkloadSeriesTest, BeyondTheBoundAllIsCountedUnderOtherAndNothingGoesBack) {
  constexpr size_t kMax = 500;
  WorkloadSeries series(kMax);
  std::map<std::string, double> before;
  uint64_t hits = 0;
  for (int round = 0; round < 3; ++round) {
    for (int workload = 0; workload < 60; ++workload) {
      for (int peer = 0; peer < 20; ++peer) {
        series.Count(fmt::format("host/{}", workload), Connect(fmt::format("dns:p{}:80/tcp", peer)),
                     Some(1));
        ++hits;
      }
    }
    const SeriesSample sample = series.Sample();
    EXPECT_EQ(Total(sample, &SlotCounts::hits), hits);
    EXPECT_EQ(Total(sample, &SlotCounts::received_bytes), 100 * hits);
    uint64_t measured = 0;
    for (const PeerSeries& peer : sample.peers) {
      measured += peer.has_latency ? peer.counts.latency[2] : 0;
    }
    EXPECT_EQ(measured, hits);
    const std::string text = Text(series);
    EXPECT_LE(CountSeries(text), kMax);
    EXPECT_LE(sample.series, kMax);
    EXPECT_GT(sample.folded, 0u);
    for (const auto& [name, value] : before) {
      const size_t at = text.find("\n" + name + " ");
      ASSERT_NE(at, std::string::npos) << name;
      EXPECT_GE(std::stod(text.substr(at + 1 + name.size())), value) << name;
    }
    before.clear();
    size_t from = 0;
    for (size_t end; (end = text.find('\n', from)) != std::string::npos; from = end + 1) {
      const std::string line = text.substr(from, end - from);
      if (line.starts_with("vedette_") && line.find("_total") != std::string::npos) {
        before[line.substr(0, line.rfind(' '))] = std::stod(line.substr(line.rfind(' ')));
      }
    }
  }
  const std::string text = Text(series);
  EXPECT_THAT(text, HasSubstr("{workload=\"other\",direction=\"outbound\",peer=\"other\"} "));
  EXPECT_THAT(text, HasSubstr("{workload=\"host/0\",direction=\"outbound\",peer=\"other\"} "));
}

TEST(WorkloadSeriesTest, OneWorkloadLeavesRoomForOthers) {
  WorkloadSeries series(2000);
  for (int peer = 0; peer < 1000; ++peer) {
    series.Count("host/greedy", Connect(fmt::format("dns:p{}:80/tcp", peer)), Some(1));
  }
  series.Count("host/modest", Connect("dns:db:5432/tcp"), Some(1));
  EXPECT_THAT(Text(series), HasSubstr("{workload=\"host/modest\",direction=\"outbound\","
                                      "peer=\"dns:db\",port=\"5432\",protocol=\"tcp\"} 1\n"));
  EXPECT_LT(series.Sample().series, 600u);
}

TEST(WorkloadSeriesTest, NamesAreBytesAndStaySeparate) {
  WorkloadSeries series(2000);
  series.Count("host/\xff\n\"", Connect("dns:x:1/tcp"), Some(1));
  series.Count("host/\\xff\n\"", Connect("dns:x:1/tcp"), Some(1));
  const std::string text = Text(series);
  EXPECT_THAT(text, HasSubstr(R"(execs_total{workload="host/\\xff\n\""} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(execs_total{workload="host/\\x5cxff\n\""} 0)"));
}

}  // namespace
}  // namespace vedette
