// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/event/cgroup.h"

namespace vedette {

// Facts of the node, read once at the start. Any thread.

absl::StatusOr<std::string> ReadBootId();
std::string NodeName();
std::string KernelRelease();

// Calls `visit` for every cgroup below `mount`, parents first. The id is the directory's inode.
absl::Status WalkCgroups(const std::string& mount,
                         const std::function<void(const CgroupEvent&)>& visit);

// Cgroups in which a container runtime or an init system itself runs, and from which it moves what
// it starts: init.scope, docker.service, sessions of people … Leaving one is a placement.
bool IsLauncherCgroup(const std::string& path);

// Programs that place processes in cgroups: systemd, runc, crun, containerd's shims, sshd, cron …
const std::vector<std::string>& DefaultRuntimes();

}  // namespace vedette
