// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scoped_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace vedette::testing {

absl::Status ScopedMounts::Enter() {
  UniqueFd before(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  directory_ = UniqueFd(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before.valid() || !directory_.valid() || unshare(CLONE_NEWNS) != 0) {
    return absl::ErrnoToStatus(errno, "unshare");
  }
  before_ = std::move(before);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "mount /");
  }
  return absl::OkStatus();
}

ScopedMounts::~ScopedMounts() {
  // Going back leaves the thread in the root directory.
  if (before_.valid() &&
      (setns(before_.get(), CLONE_NEWNS) != 0 || fchdir(directory_.get()) != 0)) {
    fprintf(stderr, "this thread stays in its own mount namespace: %s\n", strerror(errno));
  }
}

}  // namespace vedette::testing
