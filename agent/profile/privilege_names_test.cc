// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/privilege_names.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>

#include <string>

namespace vedette {
namespace {

TEST(PrivilegeNamesTest, SignalsAreCalledAsTheCLibraryCallsThem) {
  for (uint32_t signal = 1; signal <= 31; ++signal) {
    if (signal == SIGIO) {
      continue;  // Which the library calls by its other name.
    }
    EXPECT_EQ(SignalName(signal), std::string("SIG") + sigabbrev_np(static_cast<int>(signal)));
  }
  EXPECT_EQ(SignalName(SIGIO), "SIGIO");
  EXPECT_EQ(SignalName(static_cast<uint32_t>(SIGRTMIN)), "SIGRTMIN");
  EXPECT_EQ(SignalName(static_cast<uint32_t>(SIGRTMAX)), "SIGRTMIN+30");
  EXPECT_EQ(SignalName(0), "signal 0");
  EXPECT_EQ(SignalName(32), "signal 32");
  EXPECT_EQ(SignalName(65), "signal 65");
}

TEST(PrivilegeNamesTest, CapabilitiesAreCalledAsTheKernelCallsThem) {
  EXPECT_EQ(CapabilityName(CAP_CHOWN), "CAP_CHOWN");
  EXPECT_EQ(CapabilityName(CAP_NET_RAW), "CAP_NET_RAW");
  EXPECT_EQ(CapabilityName(CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
  EXPECT_EQ(CapabilityName(CAP_CHECKPOINT_RESTORE), "CAP_CHECKPOINT_RESTORE");
  EXPECT_EQ(CapabilityName(63), "CAP_63");
}

}  // namespace
}  // namespace vedette
