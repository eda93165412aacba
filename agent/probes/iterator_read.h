// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace vedette {

// All that an iterator says. After a million objects of which its program wrote nothing the kernel
// gives control back with EAGAIN and goes on from there at the next read.
absl::StatusOr<std::string> ReadIterator(int fd);

}  // namespace vedette
