// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/lsm_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/base/status.h"

namespace vedette {
namespace {

using ::testing::HasSubstr;

TEST(LsmCheckTest, WhatToChangeNamesTheModulesThatAreThere) {
  EXPECT_THAT(LsmIsNotCalled("lockdown,capability"),
              HasSubstr("(lockdown,capability); boot it with lsm=lockdown,capability,bpf"));
  EXPECT_THAT(LsmIsNotCalled(""), HasSubstr("boot it with bpf in the option lsm="));
}

TEST(LsmCheckTest, WhatCannotBeLoadedIsNoLsm) {
  EXPECT_FALSE(CheckLsm(nullptr).ok());
  const EmbeddedObject spoiled = {"lsm", "this is no object"};
  absl::Status status = CheckLsm(&spoiled);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(Message(status)), HasSubstr("the kernel refused a program of BPF LSM"));
}

}  // namespace
}  // namespace vedette
