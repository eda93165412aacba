// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vedette {

// What a path of the cgroup v2 hierarchy says by itself.
struct CgroupName {
  std::string runtime;  // As InstanceInfo::runtime; "kubernetes" where the path names no runtime.
  std::string container_id;  // As the runtime gave it, not shortened; empty outside containers.
  std::string pod_uid;       // With dashes, whatever the driver wrote; empty outside pods.
  std::string unit;          // The systemd unit as it is in the path; empty where there is none.
  std::optional<uint32_t> user_id;  // Of the user whose slice it is in; root's is one, too.
  // Everything below belongs to the same workload: a container, or a unit that runs no containers.
  bool is_instance = false;
  // Printable ASCII without blanks: "host/…" or "container/…". That of a container holds its id,
  // where nothing in the path outlives the container.
  std::string workload;
};

// Pure. Accepts any bytes; a path it does not understand is a plain cgroup. Where instances nest,
// the outermost one wins, because a workload is set where its tree starts and inherited below: a
// container that makes a cgroup with a container's name stays the workload that it was.
CgroupName ParseCgroupPath(std::string_view path);

}  // namespace vedette
