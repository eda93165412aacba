// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/enrich/workloads.h"
#include "agent/event/event.h"

namespace vedette {

inline constexpr absl::Duration kCgroupWalkInterval = absl::Seconds(10);

// Finds the cgroups whose records were lost: those that are there and not in the table of
// workloads, and those that are in the table and no longer there. Pipeline thread. Knows when it
// may walk again, not when it has to, and changes no table itself.
class CgroupWalk {
 public:
  struct Parts {
    const Clock* clock = nullptr;
    const Clock* steady = nullptr;
    const WorkloadTable* workloads = nullptr;
    std::function<uint64_t(uint64_t cgroup_id)> number_of;  // As the kernel has it; 0: none.
    std::string mount;                                      // Of the cgroup v2 hierarchy.
  };
  explicit CgroupWalk(Parts parts) : parts_(std::move(parts)) {}

  // The last one is long enough ago: a node may have very many cgroups.
  bool MayWalk() const { return parts_.steady->Now() >= next_; }
  // What the records would have said, as CgroupEvents.
  absl::StatusOr<std::vector<Event>> Walk();

 private:
  Event EventOf(const CgroupEvent& cgroup) const;
  bool IsGone(uint64_t cgroup_id) const;

  const Parts parts_;
  absl::Time next_ = absl::InfinitePast();
};

}  // namespace vedette
