// SPDX-License-Identifier: Apache-2.0
#include "agent/base/trust_domain.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(TrustDomainTest, WhatSpiffeAllows) {
  EXPECT_TRUE(IsTrustDomain("prod.eu-1.example"));
  for (const std::string& bad :
       {std::string(), std::string("Prod"), std::string("a/b"), std::string("a: b"),
        std::string("\xc3\xa4"), std::string(kMaxTrustDomainBytes + 1, 'a')}) {
    EXPECT_FALSE(IsTrustDomain(bad)) << bad;
  }
}

TEST(TrustDomainTest, AnyHostsNameBecomesOne) {
  EXPECT_EQ(TrustDomainOf("web-01.example"), "web-01.example");
  EXPECT_EQ(TrustDomainOf("Web01"), "web01");
  EXPECT_EQ(TrustDomainOf("(none)"), "-none-");
  EXPECT_EQ(TrustDomainOf(""), "node");
  EXPECT_TRUE(IsTrustDomain(TrustDomainOf(std::string("\xff\n") + std::string(300, 'X'))));
}

}  // namespace
}  // namespace vedette
