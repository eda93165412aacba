// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {

// A real podman with a storage of its own and one image, which holds busybox, vedette_actor and the
// files that it is given. All containers are removed at the end, with their cgroups. Needs root and
// podman. One thread.
class Podman {
 public:
  // `files`: static programs of this machine, for the image's /bin. `runtime`: runc or crun.
  // Unavailable: one of them is not here, or does not work with the cgroups of this machine.
  static absl::StatusOr<std::unique_ptr<Podman>> Create(const std::string& runtime,
                                                        const std::vector<std::string>& files);
  ~Podman();
  Podman(const Podman&) = delete;
  Podman& operator=(const Podman&) = delete;

  // Starts a container that runs `argv`; podman makes a name up where `name` is empty. Returns its
  // id. Without a network.
  absl::StatusOr<std::string> Run(std::string_view name, const std::vector<std::string>& argv);
  absl::Status Exec(const std::string& name, const std::vector<std::string>& argv);
  absl::Status Remove(const std::string& name_or_id);

  std::string storage_root() const { return dir_ / "root"; }

 private:
  explicit Podman(std::string runtime);
  absl::Status MakeImage(const std::vector<std::string>& files);
  // What it says on stdout.
  absl::StatusOr<std::string> Do(std::vector<std::string> arguments) const;

  TempDir dir_{"vedette-podman"};
  const std::string runtime_;
  std::string cgroup_;
};

}  // namespace vedette::testing
