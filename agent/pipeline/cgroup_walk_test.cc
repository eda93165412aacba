// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/cgroup_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace vedette {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Directories stand for cgroups: what a walk reads of them is the same.
class CgroupWalkTest : public ::testing::Test {
 protected:
  CgroupWalkTest() { Apply(); }

  std::string At(const std::string& path) const { return dir_.path() + path; }
  uint64_t Make(const std::string& path) {
    std::filesystem::create_directories(At(path));
    return IdOf(path);
  }
  uint64_t IdOf(const std::string& path) const {
    struct stat info = {};
    return stat(At(path).c_str(), &info) == 0 ? info.st_ino : 0;
  }
  std::vector<CgroupEvent> Walk() {
    std::vector<CgroupEvent> found;
    const auto events = walk_.Walk();
    EXPECT_TRUE(events.ok()) << events.status();
    for (const Event& event : events.value()) {
      EXPECT_EQ(event.header.time, clock_.Now());
      found.push_back(std::get<CgroupEvent>(event.body));
    }
    return found;
  }
  // As the pipeline does with what is found.
  void Apply() {
    for (const CgroupEvent& event : Walk()) {
      table_.Apply(event);
    }
  }
  static std::string Text(const CgroupEvent& event) {
    return (event.change == CgroupEvent::Change::kRemoved ? "removed " : "seen ") + event.path;
  }
  std::vector<std::string> Found() {
    std::vector<std::string> found;
    for (const CgroupEvent& event : Walk()) {
      found.push_back(Text(event));
    }
    return found;
  }

  testing::TempDir dir_;
  ManualClock clock_{absl::FromUnixSeconds(1'780'000'000)};
  uint64_t next_number_ = 100;
  WorkloadTable table_{"test", [this] { return next_number_++; }};
  CgroupWalk walk_{{&clock_, &clock_, &table_, [](uint64_t id) { return id + 1; }, dir_.path()}};
};

TEST_F(CgroupWalkTest, WhatIsNotInTheTableIsSeenWithTheKernelsNumber) {
  EXPECT_THAT(Found(), IsEmpty());
  const uint64_t id = Make("/a");
  Make("/a/b");
  EXPECT_THAT(Found(), UnorderedElementsAre("seen /a", "seen /a/b"));
  Apply();
  ASSERT_NE(table_.FindCgroup(id), nullptr);
  EXPECT_EQ(table_.FindName("host/a")->number, id + 1);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(CgroupWalkTest, WhatIsNoLongerThereIsRemovedOnce) {
  Make("/a");
  Apply();
  std::filesystem::remove_all(At("/a"));
  EXPECT_THAT(Found(), ElementsAre("removed /a"));
  Apply();
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_FALSE(table_.IsRunning("host/a"));
}

TEST_F(CgroupWalkTest, ItMayWalkAgainAfterAnInterval) {
  EXPECT_FALSE(walk_.MayWalk());  // The fixture did.
  clock_.Advance(kCgroupWalkInterval);
  EXPECT_TRUE(walk_.MayWalk());
  Walk();
  EXPECT_FALSE(walk_.MayWalk());
}

TEST_F(CgroupWalkTest, AHierarchyThatCannotBeListedIsAnErrorAndRemovesNothing) {
  Make("/a");
  Apply();
  std::filesystem::rename(dir_.path(), dir_.path() + "-away");
  const auto events = walk_.Walk();
  std::filesystem::rename(dir_.path() + "-away", dir_.path());
  EXPECT_EQ(events.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Found(), IsEmpty());
}

}  // namespace
}  // namespace vedette
