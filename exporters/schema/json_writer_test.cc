// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/json_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "agent/base/utf8.h"

namespace vedette {
namespace {

TEST(JsonWriterTest, NestsWithCommasWhereTheyBelong) {
  JsonWriter json;
  json.BeginObject().Int("a", -1).BeginArray("b").Text("x").BeginObject().EndObject().EndArray();
  json.BeginObject("c")
      .Bool("d", true)
      .Unsigned("e", ~0ULL)
      .EndObject()
      .Double("f", 1.5)
      .EndObject();
  EXPECT_EQ(json.Take(),
            R"({"a":-1,"b":["x",{}],"c":{"d":true,"e":18446744073709551615},"f":1.5})");
}

TEST(JsonWriterTest, TextThatEndsLikePunctuationGetsItsComma) {
  JsonWriter json;
  json.BeginObject().Text("a", "x{").Text("b", "[").Text("c", ":").EndObject();
  EXPECT_EQ(json.Take(), R"({"a":"x{","b":"[","c":":"})");
}

TEST(JsonWriterTest, EveryCodePointReadsBackAndOutputIsHarmless) {
  std::string text;
  for (const char* part :
       {"\x1f", "\x7f", "\"\\/", "é", "\xe2\x80\xae", "日", "🦊", "\xf4\x8f\xbf\xbf"}) {
    text += part;
  }
  text += '\0';
  JsonWriter json;
  json.BeginObject().Text("t", text).EndObject();
  const std::string out = json.Take();
  for (const char c : out) {
    ASSERT_TRUE(c >= 0x20 && c < 0x7f) << out;
  }
  EXPECT_EQ(nlohmann::json::parse(out)["t"].get<std::string>(), text);
}

TEST(JsonWriterTest, BytesReadBackThroughTheirEscapes) {
  const std::string bytes("\xff\\xff\0\n\xc3\xa9", 10);
  JsonWriter json;
  json.BeginObject().Bytes("b", bytes).Text("t", "broken\xff").EndObject();
  const auto parsed = nlohmann::json::parse(json.Take());
  EXPECT_EQ(BytesFromText(parsed["b"].get<std::string>()), bytes);
  EXPECT_EQ(parsed["t"], "broken\\xff");
}

TEST(JsonWriterTest, NumbersThatJsonDoesNotHaveAreNull) {
  JsonWriter json;
  json.BeginObject().Double("a", std::nan("")).Double("b", std::numeric_limits<double>::infinity());
  json.EndObject();
  EXPECT_EQ(json.Take(), R"({"a":null,"b":null})");
}

}  // namespace
}  // namespace vedette
