// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "agent/event/process.h"

namespace vedette {

// A cgroup of the v2 hierarchy was made, removed, or was there before the agent.
struct CgroupEvent {
  enum class Change { kCreated, kRemoved, kSeen };
  Change change = Change::kCreated;
  uint64_t cgroup_id = 0;
  uint64_t parent_id = 0;
  std::string path;              // Below the hierarchy's mount, with a leading slash.
  uint64_t workload_number = 0;  // Given by the kernel; inherited below an instance.
};

// A task was moved to another cgroup. `process` is the task moved.
struct MoveEvent {
  ProcessContext process;
  uint64_t to_cgroup_id = 0;
  ExecId mover;
  CodeKey mover_code;
  bool by_runtime = false;  // A listed runtime outside the workload being left.
};

}  // namespace vedette
