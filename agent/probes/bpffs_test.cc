// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/bpffs.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace vedette {
namespace {

TEST(BpffsTest, AWrongDirectoryIsRefusedAndNothingIsMade) {
  std::string root = ::testing::TempDir() + "/bpffs_test.XXXXXX";
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  for (const std::string& dir : {root + "/pins", root + "/a/b/c", root, std::string("made/here")}) {
    const absl::StatusOr<bool> made = EnsureBpffsDir(dir);
    EXPECT_TRUE(absl::IsFailedPrecondition(made.status())) << made.status();
    EXPECT_EQ(made.status().message(),
              dir + ": not on a bpffs; set bpf.pin_dir to a directory below /sys/fs/bpf");
  }
  EXPECT_TRUE(std::filesystem::is_empty(root));
  EXPECT_FALSE(std::filesystem::exists("made"));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace vedette
