// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_path.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kMaxDepth = 64;  // Deeper components are folded into the last one's workload.
constexpr size_t kFullIdLength = 64;
constexpr size_t kShortIdLength = 12;
constexpr size_t kUuidLength = 36;

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
constexpr std::array<std::string_view, 11> kManagers = {
    "containerd.service", "docker.service",        "crio.service",        "kubelet.service",
    "k3s.service",        "k3s-agent.service",     "rke2-server.service", "rke2-agent.service",
    "podman.service",     "k0scontroller.service", "k0sworker.service"};

constexpr std::array<std::string_view, 5> kUnitSuffixes = {".service", ".scope", ".mount",
                                                           ".socket", ".swap"};

bool IsHex(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool IsFullId(std::string_view text) { return text.size() == kFullIdLength && IsHex(text); }

bool IsUuid(std::string_view text) {
  if (text.size() != kUuidLength) {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !IsHex(text.substr(i, 1))) {
      return false;
    }
  }
  return true;
}

// Names go to text formats and Kafka keys, a cgroup may be called anything but '/' and newline.
std::string Printable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (char c : bytes) {
    if (absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '%') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

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

std::string_view UnitSuffix(std::string_view name) {
  for (std::string_view suffix : kUnitSuffixes) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return suffix;
    }
  }
  return {};
}

// Scopes are made at run time by programs, which put a number, a hash or a UUID at the end.
std::string_view WithoutScopeNumber(std::string_view stem) {
  while (true) {
    if (stem.size() > kUuidLength + 1 && IsUuid(stem.substr(stem.size() - kUuidLength))) {
      stem.remove_suffix(kUuidLength + 1);
      continue;
    }
    const size_t cut = stem.find_last_of("-.");
    if (cut == std::string_view::npos || cut == 0) {
      return stem;
    }
    const std::string_view last = stem.substr(cut + 1);
    const bool random = last.size() >= 32 && IsHex(last);
    if (!IsDigits(last) && !random) {
      return stem;
    }
    stem = stem.substr(0, cut);
  }
}

// systemd-run's units: run-r<hex>, run-u<n>, run-p<pid>-i<n>, run-<pid>; logind's: session-3, -c3.
bool IsNumbered(std::string_view stem, std::string_view base) {
  if (!stem.starts_with(base)) {
    return false;
  }
  stem.remove_prefix(base.size());
  while (!stem.empty()) {
    if (stem.front() != '-') {
      return false;
    }
    const size_t end = std::min(stem.find('-', 1), stem.size());
    std::string_view token = stem.substr(1, end - 1);
    stem.remove_prefix(end);
    const bool hashed = token.size() >= 9 && token.front() == 'r' && IsHex(token.substr(1));
    if (!token.empty() && std::string_view("cupi").find(token.front()) != std::string_view::npos) {
      token.remove_prefix(1);
    }
    if (!hashed && !IsDigits(token)) {
      return false;
    }
  }
  return true;
}

// "machine-qemu\x2d3\x2dweb.scope": libvirt counts starts; the name alone stays.
std::string WithoutMachineNumber(std::string_view stem) {
  constexpr std::string_view kDash = "\\x2d";
  const size_t first = stem.find(kDash);
  if (first == std::string_view::npos) {
    return std::string(stem);
  }
  const size_t second = stem.find(kDash, first + kDash.size());
  if (second == std::string_view::npos ||
      !IsDigits(stem.substr(first + kDash.size(), second - first - kDash.size()))) {
    return std::string(stem);
  }
  return fmt::format("{}{}", stem.substr(0, first), stem.substr(second));
}

// The name of a unit without what changes from start to start.
std::string StableUnit(std::string_view name) {
  const std::string_view suffix = UnitSuffix(name);
  std::string_view stem = name.substr(0, name.size() - suffix.size());
  for (std::string_view base : {"run", "session"}) {
    if (IsNumbered(stem, base)) {
      return fmt::format("{}{}", base, suffix);
    }
  }
  if (suffix == ".scope" && stem.starts_with("machine-")) {
    return WithoutMachineNumber(stem) + std::string(suffix);
  }
  if (suffix == ".scope") {
    return fmt::format("{}{}", WithoutScopeNumber(stem), suffix);
  }
  std::string stable(stem);
  if (const size_t at = stable.find('@'); at != std::string::npos && at > 0) {
    stable.resize(at + 1);
  }
  constexpr std::string_view kBus = "dbus-:";  // dbus-:1.2-org.example@0: the bus's own number.
  if (stable.starts_with(kBus)) {
    if (const size_t dash = stable.find('-', kBus.size()); dash != std::string::npos) {
      stable = "dbus" + stable.substr(dash);
    }
  }
  return stable + std::string(suffix);
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
    return Container{i == 1 ? "containerd" : "container", name};
  }
  if (i >= 2 && parts[i - 2] == "ecs" && IsEcsId(name)) {
    return Container{"docker", name};
  }
  const bool known_namespace = std::find(kContainerdNamespaces.begin(), kContainerdNamespaces.end(),
                                         parent) != kContainerdNamespaces.end();
  if (i == 1 && known_namespace) {
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
    const bool is_unit = !UnitSuffix(parts[i]).empty();
    if (!in_manager) {
      name += "/" + Printable(is_unit ? StableUnit(parts[i]) : std::string(parts[i]));
      out.runtime = is_unit || parts[i].ends_with(".slice") ? "systemd" : "cgroup";
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
