// SPDX-License-Identifier: Apache-2.0
#include "agent/base/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "agent/base/unique_fd.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SecretTest : public ::testing::Test {
 protected:
  SecretTest() : path_(::testing::TempDir() + "vedette_secret_XXXXXX") {
    UniqueFd fd(mkstemp(path_.data()));
  }
  ~SecretTest() override { unlink(path_.c_str()); }

  absl::StatusOr<std::string> Read(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return ReadSecret({SecretSource::From::kFile, path_});
  }

  std::string path_;
};

TEST_F(SecretTest, AFileLosesOnlyItsLastLineEnd) {
  EXPECT_EQ(Read("hunter2\n").value(), "hunter2");
  EXPECT_EQ(Read("hunter2\r\n").value(), "hunter2");
  EXPECT_EQ(Read(" hunter2 ").value(), " hunter2 ");
  EXPECT_EQ(Read("a\nb\n\n").value(), "a\nb\n");
}

TEST_F(SecretTest, WhatCannotBeASecretIsRefusedWithoutSayingIt) {
  for (const std::string& content : {std::string(), std::string("\n"), std::string("hun\0ter2", 8),
                                     "hunter2" + std::string(70000, 'x')}) {
    const absl::Status status = Read(content).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path_), Not(HasSubstr("hun"))));
  }
  EXPECT_EQ(ReadSecret({SecretSource::From::kFile, "/nonexistent/secret"}).status().message(),
            "/nonexistent/secret: cannot be read: No such file or directory; name a file that the "
            "agent can read");
  EXPECT_FALSE(ReadSecret({SecretSource::From::kFile, "/"}).ok());
}

TEST_F(SecretTest, TheEnvironment) {
  setenv("VEDETTE_SECRET_TEST", "hunter2", 1);
  EXPECT_EQ(ReadSecret({SecretSource::From::kEnv, "VEDETTE_SECRET_TEST"}).value(), "hunter2");
  unsetenv("VEDETTE_SECRET_TEST");
  EXPECT_EQ(ReadSecret({SecretSource::From::kEnv, "VEDETTE_SECRET_TEST"}).status().message(),
            "the variable VEDETTE_SECRET_TEST of the environment is not set; set it for the agent");
  EXPECT_EQ(SecretSourceText({SecretSource::From::kEnv, "A"}), "{ env: A }");
}

}  // namespace
}  // namespace vedette
