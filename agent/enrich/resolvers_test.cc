// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/resolvers.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace vedette {
namespace {

std::vector<std::string> Parsed(std::string_view text) {
  std::vector<std::string> out;
  for (const IpAddress& address : ParseResolvConf(text)) {
    out.push_back(address.ToString());
  }
  return out;
}

using Names = std::vector<std::string>;

TEST(ResolvConfTest, NameserversInOrder) {
  EXPECT_EQ(Parsed("# comment\nsearch example\nnameserver 127.0.0.53\n"
                   "  nameserver\t10.0.0.1 # inline\noptions edns0\nnameserver fe80::1%eth0"),
            (Names{"127.0.0.53", "10.0.0.1", "fe80::1"}));
}

TEST(ResolvConfTest, LinesThatNameNoAddressAreSkipped) {
  EXPECT_EQ(Parsed("nameserver\nnameserver dns.example\n;nameserver 1.1.1.1\nnameservers 1.1.1.1\n"
                   "NAMESERVER 1.1.1.1\nnameserver 1.1.1\n\xff\xfe\nnameserver 9.9.9.9\r\n"),
            (Names{"9.9.9.9"}));
  EXPECT_EQ(Parsed(""), Names());
  EXPECT_EQ(Parsed(std::string_view("nameserver 1.1.1.1\0x\n", 21)), Names());
}

TEST(ResolvConfTest, IsBounded) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "nameserver 10.0.0.1\n";
  }
  EXPECT_EQ(Parsed(text).size(), kMaxResolvers);
}

TEST(ResolvConfTest, AMissingFileSaysWhatFollows) {
  const auto resolvers = ReadResolvConf(testing::TempDir() + "no/such/resolv.conf");
  EXPECT_EQ(resolvers.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(resolvers.status().message().find("no/such/resolv.conf"), absl::string_view::npos);
  EXPECT_TRUE(ReadResolvConf("/dev/null").ok());
}

TEST(ResolvConfTest, WhatIsWrittenLaterIsSeenAtTheNextLook) {
  const std::string path = testing::TempDir() + "resolv.conf." + std::to_string(getpid());
  const auto write = [&](const char* text) { std::ofstream(path + ".new") << text; };
  ResolvConf file(path);
  EXPECT_FALSE(file.Look().ok());
  EXPECT_FALSE(file.Look().value()) << "said once";
  write("nameserver 10.0.0.1\n");
  std::filesystem::rename(path + ".new", path);
  EXPECT_TRUE(file.Look().value());
  EXPECT_EQ(file.addresses(), std::vector{*ParseIpAddress("10.0.0.1")});
  EXPECT_FALSE(file.Look().value());
  write("nameserver 10.0.0.2\n");
  std::filesystem::rename(path + ".new", path);
  EXPECT_TRUE(file.Look().value());
  EXPECT_EQ(file.addresses(), std::vector{*ParseIpAddress("10.0.0.2")});
  std::filesystem::remove(path);
  EXPECT_FALSE(file.Look().ok());
  EXPECT_EQ(file.addresses(), std::vector{*ParseIpAddress("10.0.0.2")}) << "as they were";
}

TEST(TrustedResolversTest, MappedAndPlainIpv4AreOneAndThePortCounts) {
  TrustedResolvers trusted;
  trusted.Set({ParseIpAddress("::ffff:10.0.0.1").value()});
  EXPECT_TRUE(trusted.Trusts({ParseIpAddress("10.0.0.1").value(), 53}));
  EXPECT_FALSE(trusted.Trusts({ParseIpAddress("10.0.0.1").value(), 5353}));
  EXPECT_FALSE(trusted.Trusts({ParseIpAddress("127.0.0.53").value(), 53}));
}

}  // namespace
}  // namespace vedette
