// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"
#include "tests/support/child.h"

namespace vedette::testing {

// Where the v2 hierarchy is mounted, by /proc/self/mountinfo: on a hybrid layout it is a
// subdirectory of the cgroup root. NotFound when there is none.
absl::StatusOr<std::string> CgroupV2Mount();

// Is there no v1 hierarchy beside the v2 one? By /proc/self/mountinfo.
bool IsCgroupV2Alone();

// A cgroup of the v2 hierarchy with a name of its own. At the end every process in it is killed
// (nobody else knows the name) and it is removed, with the cgroups below. Needs root. One thread.
class ScopedCgroup {
 public:
  // Below `parent`, a path in the hierarchy ("/" is its root). `suffix` is appended to the unique
  // name, so that a test can ask for what looks like a unit ("x.service").
  static absl::StatusOr<ScopedCgroup> Create(std::string_view parent = "/",
                                             std::string_view suffix = "");
  // At a path of the caller's, who sees to it that nobody else has it: one that is made again.
  static absl::StatusOr<ScopedCgroup> CreateAt(std::string path);
  ScopedCgroup(ScopedCgroup&& other) noexcept;
  ScopedCgroup& operator=(ScopedCgroup&&) = delete;
  ~ScopedCgroup();

  const std::string& directory() const { return directory_; }  // In the file system.
  const std::string& path() const { return path_; }            // In the hierarchy: "/…".
  int fd() const { return fd_.get(); }
  uint64_t id() const;  // As bpf_get_current_cgroup_id gives it.

  // Starts a process that is born here: no move is seen.
  absl::StatusOr<Child> Spawn(std::vector<std::string> argv) const;
  absl::StatusOr<ChildResult> Run(std::vector<std::string> argv,
                                  absl::Duration bound = kDefaultBound) const;
  // Moves a process in, as a test of moves wants it.
  absl::Status Move(pid_t pid) const;

 private:
  ScopedCgroup() = default;
  std::string directory_;
  std::string path_;
  UniqueFd fd_;
};

// Kills all processes in the cgroup at `directory` and removes it with all below. Gives up after a
// bound and says so.
absl::Status RemoveCgroup(const std::string& directory);

// Removes the cgroup at `path` and those above it from every hierarchy, as far as they are empty:
// runtimes leave what they made on the way to a container's. False: it is there still, in use.
bool RemoveEmptyCgroups(const std::string& path);

}  // namespace vedette::testing
