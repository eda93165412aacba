// SPDX-License-Identifier: Apache-2.0
// The time of the kernel's records, whatever time the agent is shown.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/time/time.h"
#include "agent/base/unique_fd.h"
#include "agent/probes/decode.h"

namespace vedette::testing {
namespace {

// Makes a time namespace in which more time has passed since the boot; children are born in it.
bool EnterTimeNamespace(std::string_view offsets) {
  if (unshare(CLONE_NEWTIME) != 0) {
    return false;
  }
  const UniqueFd file(open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
  return write(file.get(), offsets.data(), offsets.size()) == static_cast<ssize_t>(offsets.size());
}

TEST(TimeTest, ATimeNamespaceDoesNotMoveWhatTheKernelTold) {
  int boots[2];
  ASSERT_EQ(pipe2(boots, O_CLOEXEC), 0);
  const pid_t outside = fork();
  if (outside == 0) {
    if (!EnterTimeNamespace("boottime 100000 0\nmonotonic 100000 0\n")) {
      _exit(2);
    }
    const pid_t inside = fork();
    if (inside == 0) {
      const int64_t boot = absl::ToUnixMillis(BootTime());
      _exit(write(boots[1], &boot, sizeof(boot)) == sizeof(boot) ? 0 : 3);
    }
    int status = 0;
    waitpid(inside, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(outside, &status, 0), outside);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  int64_t boot = 0;
  ASSERT_EQ(read(boots[0], &boot, sizeof(boot)), static_cast<ssize_t>(sizeof(boot)));
  EXPECT_LT(absl::AbsDuration(absl::FromUnixMillis(boot) - BootTime()), absl::Seconds(1));
  close(boots[0]);
  close(boots[1]);
}

}  // namespace
}  // namespace vedette::testing
