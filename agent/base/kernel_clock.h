// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/time/time.h"

namespace vedette {

// Since the boot as the kernel's records have it: without what a time namespace adds to the clocks
// that this process is shown. Any thread.
absl::Duration KernelSinceBoot();

}  // namespace vedette
