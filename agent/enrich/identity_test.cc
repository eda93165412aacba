// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/identity.h"

#include <gtest/gtest.h>

#include "agent/base/sha256.h"

namespace vedette {
namespace {

TEST(IdentityTest, PlainNamesArePaths) {
  EXPECT_EQ(SpiffeId("prod.example", "host/system.slice/nginx.service"),
            "spiffe://prod.example/host/system.slice/nginx.service");
  EXPECT_EQ(SpiffeId("prod", "host/"), "spiffe://prod/host");
}

TEST(IdentityTest, TwoNamesNeverGiveOneId) {
  EXPECT_EQ(SpiffeId("c", "host/a@.service"), "spiffe://c/host/a_40.service");
  EXPECT_EQ(SpiffeId("c", "host/a_40.service"), "spiffe://c/host/a_5f40.service");
}

TEST(IdentityTest, EveryByteIsMadeValid) {
  std::string all;
  for (int c = 0; c < 256; ++c) {
    all += static_cast<char>(c);
  }
  const std::string id = SpiffeId("c", "host/" + all);
  EXPECT_EQ(
      id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/:"),
      std::string::npos);
}

TEST(IdentityTest, LongNamesAreCutAndStayDifferent) {
  const std::string base = "host/" + std::string(2000, 'x');
  const std::string a = BoundedName(base + "a");
  const std::string b = BoundedName(base + "b");
  EXPECT_EQ(a.size(), kMaxWorkloadNameBytes);
  EXPECT_NE(a, b);
  EXPECT_EQ(BoundedName("host/a"), "host/a");
  EXPECT_LE(SpiffeId("c", BoundedName(std::string(4000, '\xff'))).size(), 2048u);
}

TEST(Sha256Test, KnownAnswer) {
  EXPECT_EQ(Sha256::HexOf("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace vedette
