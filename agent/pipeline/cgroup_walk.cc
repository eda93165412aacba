// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/cgroup_walk.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "agent/base/status.h"
#include "agent/pipeline/node.h"

namespace vedette {

absl::StatusOr<std::vector<Event>> CgroupWalk::Walk() {
  next_ = parts_.steady->Now() + kCgroupWalkInterval;
  // Taken first: what is made while this walks has a record to come.
  const std::vector<uint64_t> live = parts_.workloads->LiveCgroups();
  const absl::flat_hash_set<uint64_t> known(live.begin(), live.end());
  absl::flat_hash_set<uint64_t> there;
  std::vector<Event> events;
  VEDETTE_RETURN_IF_ERROR(WalkCgroups(parts_.mount, [&](const CgroupEvent& cgroup) {
    there.insert(cgroup.cgroup_id);
    if (!known.contains(cgroup.cgroup_id)) {
      events.push_back(EventOf(cgroup));
      std::get<CgroupEvent>(events.back().body).workload_number =
          parts_.number_of(cgroup.cgroup_id);
    }
  }));
  if (there.empty()) {
    return absl::NotFoundError(
        fmt::format("{}: the cgroup v2 hierarchy is no longer mounted there", parts_.mount));
  }
  for (const uint64_t id : live) {
    if (!there.contains(id) && IsGone(id)) {
      CgroupEvent gone;
      gone.change = CgroupEvent::Change::kRemoved;
      gone.cgroup_id = id;
      gone.path = parts_.workloads->FindCgroup(id)->instance.cgroup_path;
      events.push_back(EventOf(gone));
    }
  }
  return events;
}

Event CgroupWalk::EventOf(const CgroupEvent& cgroup) const {
  Event event;
  event.header.time = parts_.clock->Now();
  event.body = cgroup;
  return event;
}

// A walk passes over what it cannot list.
bool CgroupWalk::IsGone(uint64_t cgroup_id) const {
  const std::string& path = parts_.workloads->FindCgroup(cgroup_id)->instance.cgroup_path;
  struct stat info = {};
  return stat((parts_.mount + path).c_str(), &info) == 0 ? info.st_ino != cgroup_id
                                                         : errno == ENOENT;
}

}  // namespace vedette
