// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/node.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr char kBootIdPath[] = "/proc/sys/kernel/random/boot_id";

constexpr std::array<std::string_view, 16> kLauncherUnits = {
    "init.scope",        "docker.service", "containerd.service",     "crio.service",
    "cri-o.service",     "podman.service", "kubelet.service",        "k3s.service",
    "k3s-agent.service", "ssh.service",    "sshd.service",           "cron.service",
    "crond.service",     "atd.service",    "systemd-logind.service", "getty.service"};

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace

absl::StatusOr<std::string> ReadBootId() {
  std::ifstream file(kBootIdPath);
  std::string id;
  if (!(file >> id)) {
    return absl::NotFoundError(fmt::format("{}: cannot be read; mount /proc", kBootIdPath));
  }
  return id;
}

std::string NodeName() {
  utsname name = {};
  uname(&name);
  return name.nodename;
}

std::string KernelRelease() {
  utsname name = {};
  uname(&name);
  return name.release;
}

absl::Status WalkCgroups(const std::string& mount,
                         const std::function<void(const CgroupEvent&)>& visit) {
  struct Directory {
    std::string path;
    uint64_t parent;
  };
  std::vector<Directory> waiting = {{"/", 0}};
  while (!waiting.empty()) {
    const Directory here = std::move(waiting.back());
    waiting.pop_back();
    const std::string full = mount + here.path;
    struct stat info = {};
    if (stat(full.c_str(), &info) != 0) {
      continue;  // Removed while we walk.
    }
    CgroupEvent event;
    event.change = CgroupEvent::Change::kSeen;
    event.cgroup_id = info.st_ino;
    event.parent_id = here.parent;
    event.path = here.path;
    visit(event);
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(full, error)) {
      if (entry.is_directory(error)) {
        const std::string name = entry.path().filename();
        waiting.push_back(
            {here.path == "/" ? "/" + name : here.path + "/" + name, event.cgroup_id});
      }
    }
    if (error && here.path == "/") {
      return absl::PermissionDeniedError(
          fmt::format("{}: cannot list cgroups: {}", mount, error.message()));
    }
  }
  return absl::OkStatus();
}

bool IsLauncherCgroup(const std::string& path) {
  const std::string_view last = std::string_view(path).substr(path.rfind('/') + 1);
  const bool is_person = (StartsWith(last, "session-") && EndsWith(last, ".scope")) ||
                         (StartsWith(last, "user@") && EndsWith(last, ".service"));
  // conmon has one for itself, its runtime and podman's or CRI-O's helpers.
  const bool is_monitor =
      (StartsWith(last, "libpod-conmon-") || StartsWith(last, "crio-conmon-")) &&
      EndsWith(last, ".scope");
  return is_person || is_monitor ||
         std::find(kLauncherUnits.begin(), kLauncherUnits.end(), last) != kLauncherUnits.end();
}

const std::vector<std::string>& DefaultRuntimes() {
  static const auto& runtimes =
      *new std::vector<std::string>{"/usr/lib/systemd/systemd",
                                    "/usr/lib/systemd/systemd-executor",
                                    "/usr/lib/systemd/systemd-logind",
                                    "/usr/bin/runc",
                                    "/usr/sbin/runc",
                                    "/usr/local/sbin/runc",
                                    "/usr/bin/crun",
                                    "/usr/local/bin/crun",
                                    "/usr/bin/conmon",
                                    "/usr/libexec/podman/conmon",
                                    "/usr/bin/podman",
                                    "/usr/bin/containerd",
                                    "/usr/bin/containerd-shim-runc-v2",
                                    "/usr/local/bin/containerd-shim-runc-v2",
                                    "/usr/bin/dockerd",
                                    "/usr/bin/crio",
                                    "/usr/bin/kubelet",
                                    "/usr/local/bin/k3s",
                                    "/usr/sbin/sshd",
                                    "/usr/sbin/cron",
                                    "/usr/sbin/crond",
                                    "/usr/sbin/atd"};
  return runtimes;
}

}  // namespace vedette
