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

}  // namespace
}  // namespace vedette
