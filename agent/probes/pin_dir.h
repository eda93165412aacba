// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

// The sets of pins in `dir`, one directory for each build of the agent that left one. Whatever is
// in the directory of an agent may be removed by it, so FailedPrecondition where it is the root of
// a filesystem, which everybody uses, or holds anything that no agent made.
absl::StatusOr<std::vector<std::string>> FindPinnedBuilds(const std::string& dir);

}  // namespace vedette
