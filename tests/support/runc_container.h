// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {

struct RuncOptions {
  // The cgroup's path in every hierarchy; "{id}" stands for the container's 64 hex digits. That of
  // containerd under Kubernetes would be "/kubepods/burstable/podUID/{id}".
  std::string cgroups_path = "/vedette-test/{id}";
  bool host_network = true;
  std::vector<std::string> capabilities = {"CAP_NET_BIND_SERVICE", "CAP_KILL"};
  // Files of this machine to have in the container's /bin, beside busybox and vedette_actor. They
  // must be static.
  std::vector<std::string> files;
};

// A real container, run by runc from a root file system of busybox and vedette_actor. Its first
// process only waits; acts are done by Exec. Deleted at the end with all that runc made for it.
// Needs root. One thread.
class RuncContainer {
 public:
  static absl::StatusOr<std::unique_ptr<RuncContainer>> Start(const RuncOptions& options = {});
  ~RuncContainer();
  RuncContainer(const RuncContainer&) = delete;
  RuncContainer& operator=(const RuncContainer&) = delete;

  const std::string& id() const { return id_; }  // 64 hex digits, as containerd's are.
  pid_t pid() const { return pid_; }             // Of the first process, seen from here.
  const std::string& cgroup_path() const { return cgroup_path_; }
  std::string rootfs() const { return bundle_ / "rootfs"; }

  // Runs a command inside to its end.
  absl::StatusOr<ChildResult> Exec(std::vector<std::string> argv,
                                   absl::Duration bound = kDefaultBound);
  absl::StatusOr<Child> SpawnExec(std::vector<std::string> argv);

 private:
  explicit RuncContainer(const RuncOptions& options);
  absl::Status MakeBundle(const RuncOptions& options);
  absl::Status Run();
  std::vector<std::string> Runc(std::vector<std::string> arguments) const;

  std::string id_;
  std::string cgroup_path_;
  pid_t pid_ = -1;
  TempDir bundle_{"vedette-runc"};
};

}  // namespace vedette::testing
