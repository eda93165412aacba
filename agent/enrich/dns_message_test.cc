// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_message.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "agent/enrich/dns_test_messages.h"

namespace vedette {
namespace {

using std::string_literals::operator""s;

TEST(ParseDnsTest, Query) {
  const auto message = ParseDns(DnsQueryBytes(0x1234, "DB.Example", kDnsTypeA), false);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->id, 0x1234);
  EXPECT_FALSE(message->is_response);
  EXPECT_EQ(message->question, (DnsQuestion{"db.example", kDnsTypeA}));
}

TEST(ParseDnsTest, ResponseWithAliasAndBothKindsOfAddress) {
  const std::string v6 = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"s;
  const auto message =
      ParseDns(DnsResponseBytes(7, "www.example", kDnsTypeA,
                                {{"www.example", kDnsTypeCname, 60, DnsName("cdn.example")},
                                 {"cdn.example", kDnsTypeA, 30, "\x0a\x01\x02\x03"},
                                 {"cdn.example", kDnsTypeAaaa, 31, v6}}),
               false);
  ASSERT_TRUE(message.ok()) << message.status();
  ASSERT_EQ(message->answers.size(), 3u);
  EXPECT_EQ(message->answers[0].target, "cdn.example");
  EXPECT_EQ(message->answers[1].owner, "cdn.example");
  EXPECT_EQ(message->answers[1].address.ToString(), "10.1.2.3");
  EXPECT_EQ(message->answers[1].ttl_s, 30u);
  EXPECT_EQ(message->answers[2].address.ToString(), "2001:db8::1");
}

TEST(ParseDnsTest, CompressedNames) {
  std::string bytes = DnsHeader(7, true, 1);
  bytes += DnsName("db.example") + "\0\1\0\1"s;
  bytes += "\xc0\x0c"s + "\0\1\0\1\0\0\0\x3c\0\4"s + "\x0a\0\0\1"s;
  const auto message = ParseDns(bytes, false);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->answers.at(0).owner, "db.example");
}

TEST(ParseDnsTest, LoopsOfPointersEnd) {
  for (const std::string& name : {"\xc0\x0c"s, "\xc0\x0e\xc0\x0c"s, "\1a\xc0\x0c"s, "\xc0\xff"s}) {
    EXPECT_FALSE(ParseDns(DnsHeader(7, false, 0) + name + "\0\1\0\1"s, false).ok());
  }
  // In an answer: a name that points to itself.
  std::string bytes = DnsHeader(7, true, 1) + DnsName("a") + "\0\1\0\1"s;
  const char self = static_cast<char>(bytes.size());
  bytes += "\xc0"s + self + "\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1"s;
  EXPECT_FALSE(ParseDns(bytes, false).ok());
}

TEST(ParseDnsTest, LabelsAreBytesAndStayUnambiguous) {
  std::string bytes = DnsHeader(7, false, 0) + "\3a.b\2\xff\n\0"s + "\0\1\0\1"s;
  const auto message = ParseDns(bytes, false);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->question.name, "a\\046b.\\255\\010");
}

TEST(ParseDnsTest, NamesLongerThanDnsAllowsAreRefused) {
  std::string name;
  for (int i = 0; i < 10; ++i) {
    name += (i ? "." : "") + std::string(63, 'x');
  }
  EXPECT_FALSE(ParseDns(DnsQueryBytes(1, name, kDnsTypeA), false).ok());
  EXPECT_TRUE(ParseDns(DnsQueryBytes(1, name.substr(0, 63 * 3 + 2), kDnsTypeA), false).ok());
}

TEST(ParseDnsTest, ACutMessageGivesItsWholeAnswers) {
  const std::string whole = DnsResponseBytes(
      7, "a.b", kDnsTypeA,
      {{"a.b", kDnsTypeA, 60, "\x0a\1\1\1"}, {"a.b", kDnsTypeA, 60, "\x0a\1\1\2"}});
  const std::string cut = whole.substr(0, whole.size() - 1);
  const auto message = ParseDns(cut, true);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->answers.size(), 1u);
  EXPECT_FALSE(ParseDns(cut, false).ok());
}

TEST(ParseDnsTest, WrongLengthsClassesAndCountsAreRefused) {
  EXPECT_FALSE(ParseDns("", false).ok());
  EXPECT_FALSE(ParseDns(std::string(11, '\0'), false).ok());
  EXPECT_FALSE(ParseDns(std::string(12, '\0'), false).ok());  // No question.
  EXPECT_FALSE(
      ParseDns(DnsResponseBytes(7, "a", kDnsTypeA, {{"a", kDnsTypeA, 60, "\x0a\1\1"}}), false)
          .ok());
  std::string chaos = DnsHeader(7, false, 0) + DnsName("version.bind") + "\0\x10\0\3"s;
  EXPECT_FALSE(ParseDns(chaos, false).ok());
}

TEST(ParseDnsTest, AnswersAreBounded) {
  std::vector<DnsTestRecord> records(200, {"a", kDnsTypeA, 60, "\x0a\1\1\1"});
  const auto message = ParseDns(DnsResponseBytes(7, "a", kDnsTypeA, records), false);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->answers.size(), kMaxDnsAnswers);
}

// Every prefix and many mutations of a good message: no crash, and no name that is not printable.
TEST(ParseDnsTest, JunkNeverBreaksIt) {
  const std::string good =
      DnsResponseBytes(7, "www.example", kDnsTypeA,
                       {{"www.example", kDnsTypeCname, 60, DnsName("cdn.example")},
                        {"cdn.example", kDnsTypeA, 30, "\x0a\x01\x02\x03"}});
  for (size_t size = 0; size <= good.size(); ++size) {
    EXPECT_EQ(ParseDns(good.substr(0, size), false).ok(), size == good.size());
  }
  std::mt19937 random(11);
  for (int round = 0; round < 50000; ++round) {
    std::string bytes = good;
    for (unsigned n = 1 + random() % 6; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto message = ParseDns(bytes, random() % 2 == 0);
    if (message.ok()) {
      for (unsigned char c : message->question.name) {
        ASSERT_TRUE(c > 0x20 && c < 0x7f);
      }
    }
  }
}

}  // namespace
}  // namespace vedette
