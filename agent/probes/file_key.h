// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/statusor.h"
#include "agent/event/process.h"
#include "agent/probes/probe_set.h"

namespace vedette {

// Asks the kernel for the key of a file that this process holds open, through an iterator: only BPF
// code makes keys. NotFound: the kernel does not list the descriptor. Any thread.
absl::StatusOr<CodeKey> ReadFileKey(const ProbeSet& probes, int fd);

}  // namespace vedette
