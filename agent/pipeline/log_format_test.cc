// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/log_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace vedette {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string LineOf(LogFormat format, const std::string& message) {
  std::ostringstream out;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_st>(out));
  log.set_formatter(MakeLogFormatter(format));
  log.warn("finding: {}", message);
  return out.str();
}

std::string MessageIn(const std::string& line) {
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json.size(), 3u) << line;
  EXPECT_EQ(json.at("level"), "warning") << line;
  EXPECT_THAT(json.at("time").get<std::string>(), HasSubstr("T"));
  return json.at("message");
}

TEST(LogFormatTest, AMessageCannotAddAFieldToItsLineOfJson) {
  const std::string path = R"(/tmp/x","level":"info","message":")";
  EXPECT_EQ(MessageIn(LineOf(LogFormat::kJson, path)), "finding: " + path);
}

TEST(LogFormatTest, AnyBytesAreOneLineOfValidJson) {
  const std::string bytes = "/tmp/a\\b\nc\x1b[31m\x7f\"\xff\xc3(\xe2\x82\xac";
  const std::string line = LineOf(LogFormat::kJson, bytes);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  EXPECT_EQ(MessageIn(line), "finding: /tmp/a\\b\nc\x1b[31m\x7f\"\\xff\\xc3(\xe2\x82\xac");
}

TEST(LogFormatTest, WhatIsPrintableAlreadyStaysAsItIsInJson) {
  EXPECT_EQ(MessageIn(LineOf(LogFormat::kJson, R"(/tmp/\x1b[31m)")), R"(finding: /tmp/\x1b[31m)");
}

TEST(LogFormatTest, AMessageOfTextEndsNoLineAndObeysNoTerminal) {
  const std::string line = LineOf(LogFormat::kText, "/tmp/a\n00:00:00.000 info all is well\x1b[2J");
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  EXPECT_THAT(line, HasSubstr(R"(/tmp/a\x0a00:00:00.000 info all is well\x1b[2J)"));
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace vedette
