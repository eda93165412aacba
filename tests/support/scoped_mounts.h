// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "agent/base/unique_fd.h"

namespace vedette::testing {

// From Enter to the end the calling thread, and what it starts, is in a mount namespace of its own:
// what is mounted there nobody else sees, and it goes with the last process in it. Needs root. One
// thread.
class ScopedMounts {
 public:
  ScopedMounts() = default;
  ScopedMounts(const ScopedMounts&) = delete;
  ScopedMounts& operator=(const ScopedMounts&) = delete;
  ~ScopedMounts();

  absl::Status Enter();

 private:
  UniqueFd before_;
  UniqueFd directory_;
};

}  // namespace vedette::testing
