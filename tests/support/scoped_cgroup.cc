// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scoped_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include "agent/base/status.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_for.h"

namespace vedette::testing {
namespace {

// mountinfo writes blanks and backslashes as three octal digits.
std::string Unescape(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      bytes += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

void KillAll(const std::string& directory) {
  // cgroup.kill (5.14) also catches who forks meanwhile; before it, one asks again and again.
  if (access((directory + "/cgroup.kill").c_str(), W_OK) == 0 &&
      WriteFile(directory + "/cgroup.kill", "1")) {
    return;
  }
  std::istringstream pids(ReadFile(directory + "/cgroup.procs"));
  for (pid_t pid; pids >> pid;) {
    kill(pid, SIGKILL);
  }
}

}  // namespace

absl::StatusOr<std::string> CgroupV2Mount() {
  std::istringstream lines(ReadFile("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    const size_t separator = line.find(" - cgroup2 ");
    if (separator == std::string::npos) {
      continue;
    }
    std::istringstream fields(line);
    std::string id, parent, device, root, mount_point;
    fields >> id >> parent >> device >> root >> mount_point;
    if (root == "/") {
      return Unescape(mount_point);
    }
  }
  return absl::NotFoundError("no cgroup v2 hierarchy is mounted here; mount -t cgroup2 none DIR");
}

bool IsCgroupV2Alone() {
  const std::string mounts = ReadFile("/proc/self/mountinfo");
  return mounts.find(" - cgroup2 ") != std::string::npos &&
         mounts.find(" - cgroup ") == std::string::npos;
}

absl::StatusOr<ScopedCgroup> ScopedCgroup::Create(std::string_view parent,
                                                  std::string_view suffix) {
  static std::atomic<int> count{0};
  return CreateAt(fmt::format("{}{}vedette-test-{}-{}{}", parent, parent == "/" ? "" : "/",
                              getpid(), ++count, suffix));
}

absl::StatusOr<ScopedCgroup> ScopedCgroup::CreateAt(std::string path) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string mount, CgroupV2Mount());
  ScopedCgroup cgroup;
  const std::string directory = mount + path;
  if (mkdir(directory.c_str(), 0755) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("cannot make the cgroup {}", directory));
  }
  cgroup.path_ = std::move(path);
  cgroup.directory_ = directory;
  cgroup.fd_.Reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup.fd_.valid()) {
    return absl::ErrnoToStatus(errno, directory);
  }
  return cgroup;
}

ScopedCgroup::ScopedCgroup(ScopedCgroup&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      path_(std::move(other.path_)),
      fd_(std::move(other.fd_)) {}

ScopedCgroup::~ScopedCgroup() {
  if (directory_.empty()) {
    return;
  }
  absl::Status removed = RemoveCgroup(directory_);
  if (!removed.ok()) {
    fmt::print(stderr, "{}\n", removed.ToString());
  }
}

uint64_t ScopedCgroup::id() const {
  struct stat status = {};
  fstat(fd_.get(), &status);
  return status.st_ino;
}

absl::StatusOr<Child> ScopedCgroup::Spawn(std::vector<std::string> argv) const {
  ChildOptions options;
  options.argv = std::move(argv);
  options.cgroup_fd = fd_.get();
  return Child::Spawn(options);
}

absl::StatusOr<ChildResult> ScopedCgroup::Run(std::vector<std::string> argv,
                                              absl::Duration bound) const {
  VEDETTE_ASSIGN_OR_RETURN(Child child, Spawn(std::move(argv)));
  child.CloseInput();
  return child.Wait(bound);
}

absl::Status ScopedCgroup::Move(pid_t pid) const {
  if (!WriteFile(directory_ + "/cgroup.procs", fmt::format("{}", pid))) {
    return absl::ErrnoToStatus(errno, fmt::format("cannot move {} into {}", pid, directory_));
  }
  return absl::OkStatus();
}

absl::Status RemoveCgroup(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_directory(error)) {
      VEDETTE_RETURN_IF_ERROR(RemoveCgroup(entry.path().string()));
    }
  }
  // EBUSY lasts until the killed have been reaped.
  const bool removed = WaitFor([&directory] {
    KillAll(directory);
    return rmdir(directory.c_str()) == 0 || errno == ENOENT;
  });
  return removed ? absl::OkStatus()
                 : absl::ErrnoToStatus(errno, fmt::format("cannot remove {}", directory));
}

bool RemoveEmptyCgroups(const std::string& cgroup_path) {
  const auto mount = CgroupV2Mount();
  if (!mount.ok()) {
    return true;
  }
  std::vector<std::string> roots = {*mount};
  std::error_code error;
  const std::filesystem::path above = std::filesystem::path(*mount).parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(above, error)) {
    // The v1 hierarchies of a hybrid layout are mounted beside the v2 one.
    if (*mount != "/sys/fs/cgroup" && entry.is_directory(error)) {
      roots.push_back(entry.path().string());
    }
  }
  for (const std::string& root : roots) {
    std::filesystem::path path = cgroup_path;
    while (path.has_relative_path() && rmdir((root + path.string()).c_str()) <= 0) {
      path = path.parent_path();
    }
  }
  return std::none_of(roots.begin(), roots.end(), [&](const std::string& root) {
    return std::filesystem::exists(root + cgroup_path, error);
  });
}

}  // namespace vedette::testing
