// SPDX-License-Identifier: Apache-2.0
#include "agent/event/flow.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(IpAddressTest, MappedIpv4PrintsAsIpv4) {
  IpAddress a{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3}};
  EXPECT_TRUE(a.is_v4());
  EXPECT_EQ(a.ToString(), "10.1.2.3");
}

TEST(IpAddressTest, Ipv6PrintsInShortForm) {
  IpAddress a;
  a.bytes[15] = 1;
  EXPECT_FALSE(a.is_v4());
  EXPECT_EQ(a.ToString(), "::1");
}

}  // namespace
}  // namespace vedette
