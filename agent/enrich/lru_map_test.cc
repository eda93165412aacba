// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/lru_map.h"

#include <gtest/gtest.h>

#include <string>

namespace vedette {
namespace {

TEST(LruMapTest, ForgetsTheEntryUnusedForLongest) {
  LruMap<int, std::string> map(2);
  map.Put(1, "one");
  map.Put(2, "two");
  EXPECT_NE(map.Find(1), nullptr);
  int gone = 0;
  map.Put(3, "three", [&](const int& key, std::string&) { gone = key; });
  EXPECT_EQ(gone, 2);
  EXPECT_EQ(map.Peek(2), nullptr);
  ASSERT_NE(map.Peek(1), nullptr);
  EXPECT_EQ(*map.Peek(1), "one");
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(map.evictions(), 1u);
}

TEST(LruMapTest, PeekDoesNotMakeAnEntryRecent) {
  LruMap<int, int> map(2);
  map.Put(1, 1);
  map.Put(2, 2);
  EXPECT_NE(map.Peek(1), nullptr);
  map.Put(3, 3);
  EXPECT_EQ(map.Peek(1), nullptr);
}

TEST(LruMapTest, ReplacingKeepsTheSizeAndErasingFreesAPlace) {
  LruMap<int, int> map(2);
  map.Put(1, 1);
  map.Put(1, 7);
  EXPECT_EQ(map.size(), 1u);
  EXPECT_EQ(*map.Find(1), 7);
  EXPECT_TRUE(map.Erase(1));
  EXPECT_FALSE(map.Erase(1));
  EXPECT_EQ(map.size(), 0u);
  EXPECT_EQ(map.evictions(), 0u);
}

}  // namespace
}  // namespace vedette
