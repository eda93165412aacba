// SPDX-License-Identifier: Apache-2.0
#include "agent/base/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace vedette {
namespace {

TEST(Utf8Test, ValidTextStaysAsItIs) {
  for (const char* text : {"", "/usr/bin/curl", "naïve/日本/🦊", "a\nb\tc", "back\\slash",
                           "system-foo\\x2dbar.slice", "\\x", "\\x8", "\\xzz"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
    EXPECT_EQ(TextFromBytes(text), text);
    EXPECT_EQ(BytesFromText(text), text);
  }
}

TEST(Utf8Test, BytesThatAreNoTextBecomeEscapes) {
  EXPECT_EQ(TextFromBytes("a\xff"
                          "b"),
            "a\\xffb");
  EXPECT_EQ(TextFromBytes("\xc3"), "\\xc3");                             // Cut.
  EXPECT_EQ(TextFromBytes("\xc0\xaf"), "\\xc0\\xaf");                    // Overlong "/".
  EXPECT_EQ(TextFromBytes("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // A surrogate.
  EXPECT_EQ(TextFromBytes("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // Above U+10FFFF.
}

TEST(Utf8Test, AnEscapeSpelledByAnAttackerIsNotTakenForOne) {
  EXPECT_EQ(TextFromBytes("\\xff"), "\\x5cxff");
  EXPECT_EQ(BytesFromText("\\x5cxff"), "\\xff");
  EXPECT_EQ(TextFromBytes("\\x5c"), "\\x5cx5c");
}

TEST(Utf8Test, EveryStringComesBack) {
  std::mt19937 random(1);
  const std::string alphabet("\\x5cff80ab\xc3\xa9\xff\xed\xa0\x80/\n\0", 19);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (uint32_t i = random() % 12; i > 0; --i) {
      bytes +=
          random() % 4 == 0 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
    }
    const std::string text = TextFromBytes(bytes);
    ASSERT_TRUE(IsValidUtf8(text));
    ASSERT_EQ(BytesFromText(text), bytes) << text;
  }
}

}  // namespace
}  // namespace vedette
