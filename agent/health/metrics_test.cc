// SPDX-License-Identifier: Apache-2.0
#include "agent/health/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

namespace vedette {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, LedgerAsText) {
  MetricSet metrics;
  AddLedgerMetrics({{.stage = "kernel",
                     .counter = "cpu0/news",
                     .received = 9007199254740993,
                     .delivered = 5,
                     .dropped = {{"ring-full", 2}}},
                    {.stage = "bad\n\"\\\xff", .counter = "c"}},
                   metrics);
  std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("# TYPE vedette_ledger_received_total counter\n"));
  EXPECT_THAT(
      text,
      HasSubstr("vedette_ledger_delivered_total{stage=\"kernel\",counter=\"cpu0/news\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("vedette_ledger_dropped_total{stage=\"kernel\",counter=\"cpu0/news\","
                              "reason=\"ring-full\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(R"({stage="bad\n\"\\\\xff",counter="c"} 0)"));
}

// The rules promtool checks: help and type once per family, before its samples; counters and only
// counters end in _total; names are plain; every sample appears once.
TEST(MetricsTest, KeepsTheRulesOfTheFormat) {
  MetricSet metrics;
  AddProcessMetrics(metrics);
  AddLedgerMetrics({{.stage = "a", .counter = "c", .dropped = {{"x", 1}, {"y", 1}}},
                    {.stage = "b", .counter = "c", .dropped = {{"x", 1}}}},
                   metrics);
  std::istringstream lines(metrics.Render());
  const std::regex sample(R"(([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+.0-9eE]+)");
  std::set<std::string> families, samples;
  std::string help, name, type;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, word;
    words >> hash >> word >> name;
    if (hash == "#" && word == "HELP") {
      EXPECT_TRUE(families.insert(name).second) << line;
      help = name;
    } else if (hash == "#" && word == "TYPE") {
      EXPECT_EQ(name, help);
      words >> type;
      EXPECT_EQ(name.ends_with("_total"), type == "counter") << line;
      EXPECT_TRUE(name.starts_with("vedette_")) << line;
    } else {
      std::smatch match;
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_EQ(match[1], help) << line;
      EXPECT_TRUE(samples.insert(match[1].str() + match[2].str()).second) << line;
    }
  }
  EXPECT_EQ(families.size(), 7u);
  EXPECT_EQ(samples.size(), 12u);
}

TEST(MetricsTest, AHistogramIsAddedUpAndHasNoSum) {
  MetricSet metrics;
  const double bounds[] = {0.000064, 0.5};
  const uint64_t counts[] = {2, 0, 3};
  metrics.AddHistogram("vedette_x_seconds", "X.", bounds, counts, {{"a", "b"}});
  EXPECT_EQ(metrics.Render(),
            "# HELP vedette_x_seconds X.\n"
            "# TYPE vedette_x_seconds histogram\n"
            "vedette_x_seconds_bucket{a=\"b\",le=\"6.4e-05\"} 2\n"
            "vedette_x_seconds_bucket{a=\"b\",le=\"0.5\"} 2\n"
            "vedette_x_seconds_bucket{a=\"b\",le=\"+Inf\"} 5\n"
            "vedette_x_seconds_count{a=\"b\"} 5\n");
}

}  // namespace
}  // namespace vedette
