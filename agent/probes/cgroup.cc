// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/cgroup.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeCgroup(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_cgroup wire;
  if (!ReadWire(record, wire) || wire.path_bytes > sizeof(wire.path)) {
    return TooShort("cgroup", record);
  }
  // The beginning of a path is another cgroup's. As if the record had been lost: the cgroups are
  // walked when something is done in one that is not known, and the kernel has counted it.
  if (wire.path_cut != 0 && wire.change == WIRE_CGROUP_CREATED) {
    return absl::OkStatus();
  }
  CgroupEvent cgroup;
  cgroup.change = wire.change == WIRE_CGROUP_REMOVED ? CgroupEvent::Change::kRemoved
                                                     : CgroupEvent::Change::kCreated;
  cgroup.cgroup_id = wire.cgroup_id;
  cgroup.parent_id = wire.parent_id;
  cgroup.path.assign(reinterpret_cast<const char*>(wire.path), wire.path_bytes);
  cgroup.workload_number = wire.workload;
  events.push_back({std::move(header), std::move(cgroup)});
  return absl::OkStatus();
}

}  // namespace vedette
