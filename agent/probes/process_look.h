// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "agent/probes/probe_set.h"

namespace vedette {

// What the probes hold of a process right now.
struct ProcessLook {
  uint64_t start_ns = 0;  // Of its current execution, since boot.
  uint64_t home_cgroup_id = 0;
};

// Nothing: the probes do not know the process. Any thread.
std::optional<ProcessLook> LookAtProcess(const ProbeSet& probes, pid_t tgid);

}  // namespace vedette
