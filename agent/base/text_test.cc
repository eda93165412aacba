// SPDX-License-Identifier: Apache-2.0
#include "agent/base/text.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(PrintableUtf8Test, TextStaysAsItIs) {
  EXPECT_EQ(PrintableUtf8(""), "");
  EXPECT_EQ(PrintableUtf8("/usr/bin/caf\xc3\xa9 \xf0\x9f\x90\x9f"),
            "/usr/bin/caf\xc3\xa9 \xf0\x9f\x90\x9f");
  EXPECT_EQ(PrintableUtf8("dev\\x2dsda"), "dev\\x2dsda");
}

TEST(PrintableUtf8Test, ControlCharactersBecomeEscapes) {
  EXPECT_EQ(PrintableUtf8(std::string_view("a\n\x1b[31m\0\x7f", 9)), "a\\x0a\\x1b[31m\\x00\\x7f");
  EXPECT_EQ(PrintableUtf8("\xc2\x9b"), "\\xc2\\x9b");  // C1 control sequence introducer.
  EXPECT_EQ(PrintableUtf8("x\xe2\x80\xaetxt"), "x\\xe2\\x80\\xaetxt");  // Right-to-left override.
}

TEST(PrintableUtf8Test, BytesThatAreNotUtf8BecomeEscapes) {
  EXPECT_EQ(PrintableUtf8("\xff"), "\\xff");
  EXPECT_EQ(PrintableUtf8("\xc3"), "\\xc3");                             // Cut.
  EXPECT_EQ(PrintableUtf8("\xc0\xaf"), "\\xc0\\xaf");                    // Overlong.
  EXPECT_EQ(PrintableUtf8("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // Overlong.
  EXPECT_EQ(PrintableUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // Surrogate.
  EXPECT_EQ(PrintableUtf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // Above U+10FFFF.
  EXPECT_EQ(PrintableUtf8("\xe2\x82z"), "\\xe2\\x82z");
}

}  // namespace
}  // namespace vedette
