// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/enrich/cgroup_path.h"
#include "agent/enrich/container_facts.h"

namespace vedette {

// A container's name that outlives it.
struct ContainerIdentity {
  std::string workload;  // As LastingName.
  std::string runtime;
};

// Finds what the runtimes wrote about containers, in their own files. Pipeline thread: it reads
// small files of local filesystems, follows no link and crosses no mount below a root, and asks no
// server. Keeps nothing.
class RuntimeMetadata {
 public:
  struct Roots {
    std::vector<std::string> docker;
    std::vector<std::string> containerd;  // Its state, not what it stores.
    std::vector<std::string> storage;     // Of podman and CRI-O.
    // Tells the homes of users who run containers of their own; empty: those are not looked for.
    std::string passwd = "/etc/passwd";
  };
  explicit RuntimeMetadata(Roots roots) : roots_(std::move(roots)) {}

  // NotFound: nothing is written about it, or not yet. Other errors say which file is at fault.
  absl::StatusOr<ContainerIdentity> Find(const CgroupName& cgroup, std::string_view path) const;

 private:
  const Roots roots_;
};

// Whether the container's name by its path ends with the container.
bool IsNamedById(const CgroupName& cgroup);

}  // namespace vedette
