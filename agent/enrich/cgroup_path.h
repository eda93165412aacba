// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// What a path of the cgroup v2 hierarchy says by itself.
struct CgroupName {
  std::string runtime;  // As InstanceInfo::runtime; "kubernetes" where the path names no runtime.
  std::string container_id;  // As the runtime gave it, not shortened; empty outside containers.
  std::string pod_uid;       // With dashes, whatever the driver wrote; empty outside pods.
  std::string unit;          // The systemd unit as it is in the path; empty where there is none.
  // Everything below belongs to the same workload: a container, or a unit that runs no containers.
  bool is_instance = false;
  std::string workload;  // Printable ASCII without blanks: "host/…" or "container/…".
};

// Pure. Accepts any bytes; a path it does not understand is a plain cgroup. Where instances nest,
// the outermost one wins, because a workload is set where its tree starts and inherited below: a
// container that makes a cgroup with a container's name stays the workload that it was.
CgroupName ParseCgroupPath(std::string_view path);

}  // namespace vedette
