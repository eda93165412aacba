// SPDX-License-Identifier: Apache-2.0
#include "agent/health/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vedette {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ReportTest, LedgerBetweenHoldsTheDifferenceAndNamesTheGaps) {
  std::vector<LedgerEntry> before = {{.stage = "kernel",
                                      .counter = "cpu0/news",
                                      .received = 100,
                                      .delivered = 98,
                                      .dropped = {{"ring-full", 2}}}};
  std::vector<LedgerEntry> after = {
      {.stage = "kernel",
       .counter = "cpu0/news",
       .received = 150,
       .delivered = 140,
       .dropped = {{"ring-full", 2}, {"reserve", 8}}},
      {.stage = "spool", .counter = "findings", .received = 3, .delivered = 3}};
  TimeSpan span = {absl::FromUnixNanos(5), absl::FromUnixNanos(9)};
  pb::Ledger ledger = LedgerBetween(before, after, span);
  EXPECT_EQ(ledger.from_unix_ns(), 5);
  EXPECT_EQ(ledger.to_unix_ns(), 9);
  ASSERT_EQ(ledger.entries_size(), 2);
  EXPECT_EQ(ledger.entries(0).received(), 50u);
  EXPECT_EQ(ledger.entries(0).delivered(), 42u);
  EXPECT_EQ(ledger.entries(0).dropped_size(), 1);
  EXPECT_EQ(ledger.entries(0).dropped().at("reserve"), 8u);
  EXPECT_EQ(ledger.entries(1).received(), 3u);
  EXPECT_THAT(ledger.gaps(), ElementsAre("kernel dropped 8 of cpu0/news: reserve"));
  EXPECT_THAT(LedgerBetween(after, after, span).gaps(), IsEmpty());
}

TEST(ReportTest, ASurplusIsAGapAndACounterThatBeganAnewIsNotHuge) {
  std::vector<LedgerEntry> before = {
      {.stage = "kernel", .counter = "n", .received = 1000, .delivered = 1000}};
  std::vector<LedgerEntry> after = {
      {.stage = "kernel", .counter = "n", .received = 4, .delivered = 6}};
  pb::Ledger ledger = LedgerBetween(before, after, {});
  EXPECT_EQ(ledger.entries(0).received(), 4u);
  EXPECT_THAT(ledger.gaps(), ElementsAre("kernel counted 2 more out than in of n"));
}

TEST(ReportTest, DoctorGetsEveryFigure) {
  nlohmann::json json = LedgerForDoctor({{.stage = "s",
                                          .counter = "c",
                                          .received = 9,
                                          .delivered = 2,
                                          .dropped = {{"no-finding", 4}, {"why", 1}}}});
  EXPECT_EQ(json, nlohmann::json::parse(R"([{"stage":"s","counter":"c","received":9,"delivered":2,
                                             "dropped":{"no-finding":4,"why":1},"lost":1,
                                             "in_flight":2}])"));
}

TEST(LedgerBetweenTest, WhatWasNoNewsIsNoGap) {
  LedgerEntry entry{"correlate", "events", 10, 0, {{"no-finding", 5}, {"repeat", 2}}};
  entry.dropped["held-back"] = 3;  // In the store, and counted by a finding that went out.
  pb::Ledger ledger = LedgerBetween({}, {entry}, {absl::UnixEpoch(), absl::UnixEpoch()});
  EXPECT_EQ(ledger.entries(0).dropped().at("no-finding"), 5u);
  EXPECT_EQ(ledger.entries(0).dropped().at("held-back"), 3u);
  EXPECT_EQ(ledger.gaps_size(), 0);
}

}  // namespace
}  // namespace vedette
