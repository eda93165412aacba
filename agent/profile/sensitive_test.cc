// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/sensitive.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(SensitiveTest, APathStandsForWhatIsBelowIt) {
  const std::vector<std::string> items = {"/etc"};
  EXPECT_TRUE(IsSensitive("/etc", items));
  EXPECT_TRUE(IsSensitive("/etc/cron.d/x", items));
  EXPECT_FALSE(IsSensitive("/etcetera/x", items));
  EXPECT_FALSE(IsSensitive("/srv/etc/x", items));
  EXPECT_TRUE(IsSensitive("/srv/x", {"/"}));
}

TEST(SensitiveTest, ANameStandsForADirectoryAnywhere) {
  const std::vector<std::string> items = {".ssh"};
  EXPECT_TRUE(IsSensitive("/home/ann/.ssh/known_hosts", items));
  EXPECT_TRUE(IsSensitive("/.ssh", items));
  EXPECT_FALSE(IsSensitive("/home/ann/x.ssh/known_hosts", items));
  EXPECT_FALSE(IsSensitive("/home/ann/.ssh2/known_hosts", items));
  EXPECT_FALSE(IsSensitive("/srv/x", {}));
}

TEST(ShapeTest, AStarStandsForAtLeastOneByteAndNoSlash) {
  EXPECT_TRUE(HasShape("/tmp/request-12.tmp", "/tmp/request-*.tmp"));
  EXPECT_FALSE(HasShape("/tmp/request-.tmp", "/tmp/request-*.tmp"));
  EXPECT_FALSE(HasShape("/tmp/request-1/2.tmp", "/tmp/request-*.tmp"));
  EXPECT_FALSE(HasShape("/tmp/request-1.tmpx", "/tmp/request-*.tmp"));
  EXPECT_TRUE(HasShape("/a/1/b/2-3", "/a/*/b/*-*"));
  EXPECT_FALSE(HasShape("/a/1/c/2-3", "/a/*/b/*-*"));
  EXPECT_TRUE(HasShape("/a/1.tmp.tmp", "/a/*.tmp"));
  EXPECT_TRUE(HasShape("/a/ccqzxv.s", "/a/??????.s"));
  EXPECT_FALSE(HasShape("/a/ccqzx.s", "/a/??????.s"));
  EXPECT_FALSE(HasShape("/a/cc/zxv.s", "/a/??????.s"));
  EXPECT_TRUE(HasShape("", ""));
  EXPECT_FALSE(HasShape("", "*"));
}

}  // namespace
}  // namespace vedette
