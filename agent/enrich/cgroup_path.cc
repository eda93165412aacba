// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_path.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "agent/enrich/name_parts.h"
#include "agent/enrich/unit_name.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kMaxDepth = 64;  // Deeper components are folded into the last one's workload.
constexpr size_t kShortIdLength = 12;

struct Prefix {
  std::string_view prefix;
  std::string_view runtime;
};

// "<prefix><64 hex>", with or without ".scope".
constexpr std::array<Prefix, 6> kContainerPrefixes = {{{"docker-", "docker"},
                                                       {"cri-containerd-", "containerd"},
                                                       {"nerdctl-", "containerd"},
                                                       {"crio-", "cri-o"},
                                                       {"libpod-", "podman"},
                                                       {"libpod-payload-", "podman"}}};

// "<slice>:<prefix>:<id>", which runc makes of a systemd path under the cgroupfs driver.
constexpr std::array<Prefix, 5> kColonPrefixes = {{{"docker", "docker"},
                                                   {"cri-containerd", "containerd"},
                                                   {"nerdctl", "containerd"},
                                                   {"crio", "cri-o"},
                                                   {"libpod", "podman"}}};

// Parents of a bare 64-hex name.
constexpr std::array<Prefix, 4> kBareParents = {{{"docker", "docker"},
                                                 {"moby", "docker"},
                                                 {"actions_job", "docker"},
                                                 {"libpod_parent", "podman"}}};

// containerd's own names for containers are free text; these namespaces are its well-known ones.
constexpr std::array<std::string_view, 2> kContainerdNamespaces = {"default", "k8s.io"};

// Units whose cgroup may hold the cgroups of containers or of other units.
constexpr std::array<std::string_view, 17> kManagers = {"containerd.service",
                                                        "docker.service",
                                                        "crio.service",
                                                        "cri-o.service",
                                                        "cri-docker.service",
                                                        "kubelet.service",
                                                        "k3s.service",
                                                        "k3s-agent.service",
                                                        "rke2-server.service",
                                                        "rke2-agent.service",
                                                        "podman.service",
                                                        "k0scontroller.service",
                                                        "k0sworker.service",
                                                        "snap.docker.dockerd.service",
                                                        "snap.microk8s.daemon-containerd.service",
                                                        "snap.microk8s.daemon-kubelet.service",
                                                        "snap.microk8s.daemon-kubelite.service"};

std::vector<std::string_view> Split(std::string_view path) {
  std::vector<std::string_view> parts;
  size_t at = 0;
  while (at < path.size() && parts.size() < kMaxDepth) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) {
      parts.push_back(path.substr(at, end - at));
    }
    at = end + 1;
  }
  return parts;
}

// The UID of "pod<uid>" or "…-pod<uid>.slice"; static pods have a hash for a UID.
std::optional<std::string> PodUid(std::string_view name) {
  if (name.ends_with(".slice")) {
    name.remove_suffix(std::string_view(".slice").size());
    const size_t at = name.rfind("-pod");
    if (at == std::string_view::npos) {
      return std::nullopt;
    }
    name.remove_prefix(at + 1);
  }
  if (!name.starts_with("pod")) {
    return std::nullopt;
  }
  std::string uid(name.substr(3));
  std::replace(uid.begin(), uid.end(), '_', '-');
  if (IsUuid(uid) || (uid.size() == 32 && IsHex(uid))) {
    return uid;
  }
  return std::nullopt;
}

struct Container {
  std::string_view runtime;
  std::string_view id;
};

std::optional<Container> PrefixedContainer(std::string_view name) {
  if (name.ends_with(".scope")) {
    name.remove_suffix(std::string_view(".scope").size());
  }
  for (const Prefix& p : kContainerPrefixes) {
    if (name.starts_with(p.prefix) && IsFullId(name.substr(p.prefix.size()))) {
      return Container{p.runtime, name.substr(p.prefix.size())};
    }
  }
  const size_t last = name.rfind(':');
  const size_t first = name.find(':');
  if (first == std::string_view::npos || first == last) {
    return std::nullopt;
  }
  const std::string_view middle = name.substr(first + 1, last - first - 1);
  for (const Prefix& p : kColonPrefixes) {
    if (middle == p.prefix && last + 1 < name.size()) {
      return Container{p.runtime, name.substr(last + 1)};
    }
  }
  return std::nullopt;
}

// Containers whose name is that of the container itself: LXC and systemd-nspawn.
std::optional<Container> NamedContainer(std::string_view name, std::string_view parent) {
  constexpr std::string_view kPayload = "lxc.payload.";
  constexpr std::string_view kNspawn = "systemd-nspawn@";
  if (name.starts_with(kPayload) && name.size() > kPayload.size()) {
    return Container{"lxc", name.substr(kPayload.size())};
  }
  if (parent == "lxc" || parent == "lxc.payload") {
    return Container{"lxc", name};
  }
  if (name.starts_with(kNspawn) && name.ends_with(".service")) {
    const size_t length = name.size() - kNspawn.size() - std::string_view(".service").size();
    return Container{"systemd-nspawn", name.substr(kNspawn.size(), length)};
  }
  return std::nullopt;
}

// "<32 hex>-<digits>": a container of an ECS task on Fargate.
bool IsEcsId(std::string_view name) {
  return name.size() > 33 && IsHex(name.substr(0, 32)) && name[32] == '-' &&
         IsDigits(name.substr(33));
}

bool IsContainerdNamespace(std::string_view name) {
  return std::find(kContainerdNamespaces.begin(), kContainerdNamespaces.end(), name) !=
         kContainerdNamespaces.end();
}

std::optional<Container> FindContainer(const std::vector<std::string_view>& parts, size_t i,
                                       bool in_pod) {
  const std::string_view name = parts[i];
  const std::string_view parent = i > 0 ? parts[i - 1] : std::string_view();
  if (auto found = PrefixedContainer(name)) {
    return found;
  }
  if (auto found = NamedContainer(name, parent)) {
    return found;
  }
  if (IsFullId(name)) {
    for (const Prefix& p : kBareParents) {
      if (parent == p.prefix) {
        return Container{p.runtime, name};
      }
    }
    if (in_pod) {
      return Container{"kubernetes", name};
    }
    if (i >= 2 && parts[i - 2] == "ecs") {
      return Container{"docker", name};
    }
    return Container{i == 1 && IsContainerdNamespace(parent) ? "containerd" : "container", name};
  }
  if (i >= 2 && parts[i - 2] == "ecs" && IsEcsId(name)) {
    return Container{"docker", name};
  }
  if (i == 1 && IsContainerdNamespace(parent)) {
    return Container{"containerd", name};
  }
  return std::nullopt;
}

std::string ShortId(std::string_view id) {
  return Printable(IsFullId(id) ? id.substr(0, kShortIdLength) : id);
}

bool IsManager(std::string_view unit) {
  return std::find(kManagers.begin(), kManagers.end(), unit) != kManagers.end();
}

bool IsUserManager(std::string_view unit) {
  return unit.starts_with("user@") && unit.ends_with(".service");
}

// Docker's builder runs each step of a build in a cgroup of its own below this one.
bool IsBuilder(const std::vector<std::string_view>& parts, size_t i) {
  return i > 0 && parts[i] == "buildkit" && parts[i - 1] == "docker";
}

// "/user.slice/user-1000.slice/…": what is below was made by that user, or for it.
std::optional<uint32_t> UserOf(const std::vector<std::string_view>& parts) {
  constexpr std::string_view kUser = "user-";
  constexpr std::string_view kSlice = ".slice";
  if (parts.size() < 2 || parts[0] != "user.slice" || !parts[1].starts_with(kUser) ||
      !parts[1].ends_with(kSlice) || parts[1].size() <= kUser.size() + kSlice.size()) {
    return std::nullopt;
  }
  const std::string_view digits =
      parts[1].substr(kUser.size(), parts[1].size() - kUser.size() - kSlice.size());
  uint32_t uid = 0;
  const bool is_number = IsDigits(digits) && absl::SimpleAtoi({digits.data(), digits.size()}, &uid);
  return is_number ? std::optional(uid) : std::nullopt;
}

// A container that systemd runs as a service (podman's quadlets): the unit's name is the stable
// one.
void NoteContainerOfUnit(const std::vector<std::string_view>& below, CgroupName& out) {
  for (std::string_view part : below) {
    if (auto container = PrefixedContainer(part); container && container->runtime == "podman") {
      out.runtime = std::string(container->runtime);
      out.container_id = std::string(container->id);
      return;
    }
  }
}

}  // namespace

CgroupName ParseCgroupPath(std::string_view path) {
  CgroupName out;
  out.runtime = "cgroup";
  const std::vector<std::string_view> parts = Split(path);
  out.user_id = UserOf(parts);
  std::string name = "host";
  bool in_manager = false;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string_view before_colon = parts[i].substr(0, parts[i].find(':'));
    const std::optional<std::string> uid = PodUid(before_colon);
    if (uid) {
      out.pod_uid = *uid;
    }
    if (uid && before_colon == parts[i]) {
      name += in_manager ? "" : "/pod";
      continue;
    }
    if (auto container = FindContainer(parts, i, !out.pod_uid.empty())) {
      out.runtime = std::string(container->runtime);
      out.container_id = std::string(container->id);
      out.unit = UnitSuffix(parts[i]).empty() ? "" : std::string(parts[i]);
      out.is_instance = true;
      out.workload = fmt::format("container/{}/{}", out.runtime, ShortId(container->id));
      return out;
    }
    if (i > 0 && IsUserManager(parts[i - 1]) && parts[i] == "init.scope") {
      // Where the manager of a user puts itself, some time after its start: still the same
      // workload.
      out.unit = std::string(parts[i]);
      out.is_instance = true;
      break;
    }
    const bool is_unit = !UnitSuffix(parts[i]).empty();
    if (!in_manager) {
      name += "/" + Printable(is_unit ? StableUnit(parts[i]) : StableSlice(parts[i]));
      out.runtime = is_unit || parts[i].ends_with(".slice") ? "systemd" : "cgroup";
    }
    if (IsBuilder(parts, i)) {
      out.is_instance = true;
      break;
    }
    if (!is_unit) {
      continue;
    }
    out.unit = std::string(parts[i]);
    in_manager = in_manager || IsManager(parts[i]);
    if (in_manager || IsUserManager(parts[i])) {
      continue;
    }
    out.is_instance = true;
    NoteContainerOfUnit({parts.begin() + static_cast<ptrdiff_t>(i) + 1, parts.end()}, out);
    break;
  }
  out.workload = parts.empty() ? "host/" : name;
  return out;
}

}  // namespace vedette
