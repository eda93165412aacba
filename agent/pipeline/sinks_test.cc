// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace vedette {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> NamesOf(const Config& config) {
  std::vector<std::string> names;
  const absl::StatusOr<Sinks> sinks = MakeSinks(config);
  EXPECT_TRUE(sinks.ok()) << sinks.status();
  for (const NamedExporter& sink : sinks->exporters) {
    names.push_back(sink.name);
  }
  return names;
}

TEST(SinksTest, WhatASinkIsCalledDoesNotDependOnTheOthers) {
  const testing::TempDir dir;
  const SinkConfig first = {JsonlSinkConfig{dir / "a", ""}};
  const SinkConfig second = {JsonlSinkConfig{dir / "b", "archive"}};
  Config config;
  config.sinks = {first, second};
  EXPECT_THAT(NamesOf(config), ElementsAre("jsonl", "archive"));
  config.sinks = {second, first};
  EXPECT_THAT(NamesOf(config), ElementsAre("archive", "jsonl"));
  config.sinks = {second};
  EXPECT_THAT(NamesOf(config), ElementsAre("archive"));
}

TEST(SinksTest, ASinkWhoseSpoolFailsIsDegradedAndSaysSo) {
  SinkStats fine, away, broken;
  fine.account.sink = "jsonl";
  away.account.sink = "kafka";
  away.available = false;
  away.trouble = "Kafka cannot be reached";
  broken.account.sink = "archive";
  broken.store_trouble = "the spool cannot be used";
  broken.store_errors = 7;
  std::vector<std::string> problems;
  const nlohmann::json rows = SinksJson({fine, away, broken}, problems);
  EXPECT_EQ(rows[0]["state"], "ok");
  EXPECT_EQ(rows[1]["state"], "degraded");
  EXPECT_EQ(rows[1]["reason"], "Kafka cannot be reached");
  EXPECT_EQ(rows[2]["state"], "degraded");
  EXPECT_EQ(rows[2]["reason"], "the spool cannot be used");
  EXPECT_EQ(rows[2]["store_errors"], 7);
  EXPECT_THAT(problems, ElementsAre("sink kafka: Kafka cannot be reached",
                                    "sink archive: the spool cannot be used"));
}

}  // namespace
}  // namespace vedette
