// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/pin_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using ::vedette::testing::TempDir;
using ::vedette::testing::WriteFile;

constexpr char kBuild[] = "0123456789abcdef";

// Where the directory stands does not matter here, so it is an ordinary one.
class PinDirTest : public ::testing::Test {
 protected:
  void Make(const std::string& path) { std::filesystem::create_directories(dir_ / path); }
  void ExpectRefused(const std::string& named) {
    const auto builds = FindPinnedBuilds(dir_.path());
    EXPECT_EQ(builds.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(builds.status().message()),
                AllOf(HasSubstr(dir_.path() + ": holds " + named + ","), HasSubstr("bpf.pin_dir")));
  }
  TempDir dir_;
};

TEST_F(PinDirTest, WhatAgentsLeftIsFound) {
  EXPECT_THAT(FindPinnedBuilds(dir_.path()).value(), IsEmpty());
  Make(std::string(kBuild) + "/maps");
  Make(std::string(kBuild) + "/links");
  Make("fedcba9876543210");
  EXPECT_THAT(FindPinnedBuilds(dir_.path()).value(),
              UnorderedElementsAre(dir_ / kBuild, dir_ / "fedcba9876543210"));
}

TEST_F(PinDirTest, TheRootOfAFilesystemIsRefused) {
  const auto builds = FindPinnedBuilds("/proc");
  EXPECT_EQ(builds.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(builds.status().message()),
              AllOf(HasSubstr("/proc: is the root of a filesystem"), HasSubstr("bpf.pin_dir")));
  EXPECT_EQ(FindPinnedBuilds("/").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PinDirTest, ADirectoryOfSomebodyElseIsRefused) {
  Make(std::string(kBuild) + "/maps");
  Make("tc/globals");
  ExpectRefused("tc");
}

TEST_F(PinDirTest, APinOfSomebodyElseIsRefused) {
  ASSERT_TRUE(WriteFile(dir_ / "0123456789abcdee", ""));
  ExpectRefused("0123456789abcdee");
}

TEST_F(PinDirTest, ADirectoryThatOnlyHasTheNameOfABuildIsRefused) {
  Make(std::string(kBuild) + "/maps");
  Make(std::string(kBuild) + "/programs");
  ExpectRefused(std::string(kBuild) + "/programs");
}

TEST_F(PinDirTest, ALinkToSomewhereElseIsRefused) {
  TempDir elsewhere;
  Make(kBuild);
  std::filesystem::create_directory_symlink(elsewhere.path(), (dir_ / kBuild) + "/maps");
  ExpectRefused(std::string(kBuild) + "/maps");
}

}  // namespace
}  // namespace vedette
