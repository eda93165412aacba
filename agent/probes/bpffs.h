// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

// Makes sure that `dir` exists on a bpffs; mounts one on /sys/fs/bpf when that is where `dir` is
// and none is mounted, and says so with true. Errors: PermissionDenied, FailedPrecondition (another
// filesystem is there).
absl::StatusOr<bool> EnsureBpffsDir(const std::string& dir);

// Takes back the mount that EnsureBpffsDir made, unless somebody else uses it by now.
void UnmountBpffs();

// Removes `dir`, all below it, and parents that are then empty up to the bpffs's root.
void RemoveBpffsDir(const std::string& dir);

// Where the cgroup v2 hierarchy is mounted, from /proc/self/mountinfo. NotFound when it is not.
absl::StatusOr<std::string> FindCgroup2Mount();

}  // namespace vedette
