// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/node.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(NodeTest, LaunchersAreTheCgroupsOfRuntimesAndOfPeople) {
  for (const char* path :
       {"/init.scope", "/system.slice/containerd.service", "/system.slice/ssh.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service",
        "/machine.slice/libpod-conmon-0123abcd.scope",
        "/machine.slice/crio-conmon-0123abcd.scope"}) {
    EXPECT_TRUE(IsLauncherCgroup(path)) << path;
  }
  for (const char* path :
       {"/", "/system.slice/nginx.service", "/machine.slice/libpod-0123abcd.scope",
        "/machine.slice/libpod-0123abcd.scope/container", "/machine.slice/libpod-conmon-0123abcd",
        "/libpod_parent/conmon", "/system.slice/session-3.service"}) {
    EXPECT_FALSE(IsLauncherCgroup(path)) << path;
  }
}

}  // namespace
}  // namespace vedette
