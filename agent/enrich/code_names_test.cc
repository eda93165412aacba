// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_names.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(FilesystemTest, NamesWhatItKnowsAndShowsTheNumberOfTheRest) {
  EXPECT_EQ(FilesystemName(0), "");
  EXPECT_EQ(FilesystemName(0x794c7630), "overlay");
  EXPECT_EQ(FilesystemName(0x01021994), "tmpfs");
  EXPECT_EQ(FilesystemName(0x65735546), "fuse");
  EXPECT_EQ(FilesystemName(0x12345678), "0x12345678");
}

}  // namespace
}  // namespace vedette
