// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/bpffs.h"

#include <errno.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "absl/strings/str_split.h"
#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr char kDefaultMount[] = "/sys/fs/bpf";

bool IsBpffs(const std::string& path) {
  struct statfs fs;
  return statfs(path.c_str(), &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

}  // namespace

absl::StatusOr<bool> EnsureBpffsDir(const std::string& dir) {
  const bool below_default = dir.rfind(std::string(kDefaultMount) + "/", 0) == 0;
  const bool mounts = below_default && !IsBpffs(kDefaultMount);
  if (mounts &&
      mount("bpf", kDefaultMount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return absl::PermissionDeniedError(
        fmt::format("{}: no bpffs is mounted and mounting one failed: {}; mount it as root with "
                    "`mount -t bpf bpf {}`",
                    kDefaultMount, strerror(errno), kDefaultMount));
  }
  std::error_code error;
  // Looked at before anything is made: a wrong directory leaves nothing behind.
  std::filesystem::path there = std::filesystem::absolute(dir, error);
  while (there.has_relative_path() && !std::filesystem::exists(there, error)) {
    there = there.parent_path();
  }
  if (!IsBpffs(there)) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: not on a bpffs; set bpf.pin_dir to a directory below {}", dir, kDefaultMount));
  }
  std::filesystem::create_directories(dir, error);
  if (error) {
    return absl::PermissionDeniedError(fmt::format(
        "{}: cannot make the directory for pins: {}; set bpf.pin_dir to a directory on a "
        "bpffs that this user may write; names there hold no dot",
        dir, error.message()));
  }
  return mounts;
}

void UnmountBpffs() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kDefaultMount, error)) {
    const std::string name = entry.path().filename();
    // The kernel's own iterators are in every bpffs.
    if (name != "maps.debug" && name != "progs.debug") {
      return;
    }
  }
  umount2(kDefaultMount, 0);
}

void RemoveBpffsDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  for (std::filesystem::path parent = std::filesystem::path(dir).parent_path();
       IsBpffs(parent) && parent != kDefaultMount; parent = parent.parent_path()) {
    if (!std::filesystem::remove(parent, error) || error) {
      return;
    }
  }
}

absl::StatusOr<std::string> FindCgroup2Mount() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::vector<std::string> halves = absl::StrSplit(line, " - ");
    if (halves.size() != 2 || halves[1].rfind("cgroup2 ", 0) != 0) {
      continue;
    }
    std::vector<std::string> fields = absl::StrSplit(halves[0], ' ');
    // The root of the hierarchy, not a subtree that a container was given.
    if (fields.size() > 4 && fields[3] == "/") {
      return fields[4];
    }
  }
  return absl::NotFoundError(
      "/proc/self/mountinfo: no cgroup v2 hierarchy is mounted; mount one with `mount -t cgroup2 "
      "none /sys/fs/cgroup`");
}

}  // namespace vedette
