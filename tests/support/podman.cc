// SPDX-License-Identifier: Apache-2.0
#include "tests/support/podman.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "agent/base/status.h"
#include "tests/support/child.h"
#include "tests/support/scoped_cgroup.h"

namespace vedette::testing {
namespace {

constexpr char kPodman[] = "/usr/bin/podman";
constexpr char kImage[] = "localhost/vedette-test:1";
constexpr absl::Duration kPodmanBound = absl::Seconds(60);
// Below what a container gets by default, which not every root may raise its own to.
constexpr char kFiles[] = "nofile=1024:1024";
constexpr char kProcesses[] = "nproc=1024:1024";

}  // namespace

Podman::Podman(std::string runtime) : runtime_(std::move(runtime)) {
  static std::atomic<int> count{0};
  cgroup_ = fmt::format("/vedette-test-podman-{}-{}", getpid(), ++count);
}

absl::StatusOr<std::unique_ptr<Podman>> Podman::Create(const std::string& runtime,
                                                       const std::vector<std::string>& files) {
  if (access(kPodman, X_OK) != 0) {
    return absl::UnavailableError("needs podman");
  }
  if (access(("/usr/bin/" + runtime).c_str(), X_OK) != 0 &&
      access(("/usr/sbin/" + runtime).c_str(), X_OK) != 0) {
    return absl::UnavailableError("needs " + runtime);
  }
  if (runtime == "crun" && !IsCgroupV2Alone()) {
    return absl::UnavailableError("needs cgroup2 alone: crun refuses v1 controllers beside it");
  }
  std::unique_ptr<Podman> podman(new Podman(runtime));
  VEDETTE_RETURN_IF_ERROR(podman->MakeImage(files));
  return podman;
}

absl::Status Podman::MakeImage(const std::vector<std::string>& files) {
  const std::string bin = dir_ / "rootfs/bin";
  std::error_code error;
  std::filesystem::create_directories(bin, error);
  std::vector<std::string> all = {"/bin/busybox", VEDETTE_ACTOR_PATH};
  all.insert(all.end(), files.begin(), files.end());
  for (const std::string& file : all) {
    const std::string to = bin + "/" + std::filesystem::path(file).filename().string();
    if (!std::filesystem::copy_file(file, to, error)) {
      return absl::InternalError(fmt::format("cannot copy {}: {}", file, error.message()));
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(
      const ChildResult packed,
      Child::Run({"tar", "-C", dir_ / "rootfs", "-cf", dir_ / "image.tar", "."}, kPodmanBound));
  if (packed.exit_code != 0) {
    return absl::InternalError("tar: " + packed.err);
  }
  return Do({"import", dir_ / "image.tar", kImage}).status();
}

absl::StatusOr<std::string> Podman::Do(std::vector<std::string> arguments) const {
  // Nothing of the machine's own podman, if it has one.
  std::vector<std::string> argv = {
      kPodman,      "--root",           storage_root(), "--runroot",
      dir_ / "run", "--tmpdir",         dir_ / "tmp",   "--cgroup-manager",
      "cgroupfs",   "--events-backend", "none",         "--runtime",
      runtime_};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  VEDETTE_ASSIGN_OR_RETURN(const ChildResult result, Child::Run(std::move(argv), kPodmanBound));
  if (result.exit_code != 0) {
    return absl::InternalError(fmt::format("podman {}: {}", arguments.front(), result.err));
  }
  return result.out.substr(0, result.out.find('\n'));
}

absl::StatusOr<std::string> Podman::Run(std::string_view name,
                                        const std::vector<std::string>& argv) {
  std::vector<std::string> arguments = {"run",          "--detach", "--network",       "none",
                                        "--ulimit",     kFiles,     "--ulimit",        kProcesses,
                                        "--log-driver", "none",     "--cgroup-parent", cgroup_};
  if (!name.empty()) {
    arguments.insert(arguments.end(), {"--name", std::string(name)});
  }
  arguments.push_back(kImage);
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  return Do(std::move(arguments));
}

absl::Status Podman::Exec(const std::string& name, const std::vector<std::string>& argv) {
  std::vector<std::string> arguments = {"exec", name};
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  return Do(std::move(arguments)).status();
}

absl::Status Podman::Remove(const std::string& name_or_id) {
  return Do({"rm", "--force", "--time", "0", name_or_id}).status();
}

Podman::~Podman() {
  if (const auto removed = Do({"rm", "--all", "--force", "--time", "0"}); !removed.ok()) {
    fmt::print(stderr, "{}\n", removed.status().ToString());
  }
  // conmon has podman clean up once more after a container's end, and waits for it in a cgroup.
  const bool empty = WaitFor(
      [this] { return RemoveEmptyCgroups(cgroup_ + "/conmon") && RemoveEmptyCgroups(cgroup_); });
  if (!empty) {
    fmt::print(stderr, "{}: podman still works there\n", cgroup_);
  }
  // podman has its storage mounted on itself.
  umount2((storage_root() + "/overlay").c_str(), MNT_DETACH);
}

}  // namespace vedette::testing
