// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/runtime_metadata.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/ascii.h"
#include "agent/base/status.h"
#include "agent/enrich/bounded_file.h"
#include "agent/enrich/mount_table.h"
#include "agent/enrich/name_parts.h"
#include "fmt/format.h"

namespace vedette {
namespace {

using Found = absl::StatusOr<ContainerFacts>;

constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr size_t kMaxListBytes = 4 << 20;  // A few hundred bytes for each container there is.
constexpr size_t kMaxPasswdBytes = 1 << 20;
constexpr size_t kMaxIdBytes = 256;
constexpr size_t kMaxListed = 64;

constexpr char kTasks[] = "io.containerd.runtime.v2.task";
constexpr char kUserDocker[] = ".local/share/docker";
constexpr char kUserStorage[] = ".local/share/containers/storage";

// Where a home can be without anybody having to answer for it.
constexpr std::array<std::string_view, 11> kLocalFilesystems = {
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "xfs", "overlay", "tmpfs", "zfs"};

// The id comes out of a cgroup's name and goes into the name of a file.
bool IsFileName(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && id.front() != '.' &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

absl::Status Prefixed(const std::string& file, const absl::Status& status) {
  return absl::Status(status.code(), fmt::format("{} {}", file, Message(status)));
}

absl::Status NoFacts(const std::string& where) {
  return absl::NotFoundError(where + ": says nothing that names the container");
}

Found OfDocker(const TrustedDirectory& root, const std::string& id) {
  const std::string file = fmt::format("containers/{}/config.v2.json", id);
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, root.Read(file, kMaxConfigBytes));
  Found facts = ParseDockerConfig(text);
  return facts.ok() ? facts : Prefixed(root.path() + "/" + file, facts.status());
}

Found OfBundle(const TrustedDirectory& root, const std::string& file, const std::string& id) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, root.Read(file, kMaxConfigBytes));
  absl::StatusOr<std::optional<ContainerFacts>> facts = ParseBundleConfig(text, id);
  if (!facts.ok()) {
    return Prefixed(root.path() + "/" + file, facts.status());
  }
  return *facts ? Found(**std::move(facts)) : Found(NoFacts(root.path() + "/" + file));
}

// The first answer of several places; else the first error that is more than "not there".
class FirstOf {
 public:
  bool Add(Found found) {
    if (!best_ || (!best_->ok() && (found.ok() || absl::IsNotFound(best_->status())))) {
      best_ = std::move(found);
    }
    return best_->ok();
  }
  Found Take() { return best_ ? *std::move(best_) : Found(absl::NotFoundError("no such root")); }

 private:
  std::optional<Found> best_;
};

Found OfContainerd(const TrustedDirectory& root, const std::string& id, std::string_view path) {
  FirstOf first;
  for (const std::string& space : root.List(kTasks, kMaxListed)) {
    // A name is one container's in its namespace alone, which the path then has before it.
    const bool is_its = IsFullId(id) || path.ends_with(fmt::format("/{}/{}", space, id));
    if (is_its &&
        first.Add(OfBundle(root, fmt::format("{}/{}/{}/config.json", kTasks, space, id), id))) {
      break;
    }
  }
  return first.Take();
}

Found OfStorageList(const TrustedDirectory& root, const std::string& file, const std::string& id) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, root.Read(file, kMaxListBytes));
  absl::StatusOr<std::optional<ContainerFacts>> facts = ParseStorageList(text, id);
  if (!facts.ok()) {
    return Prefixed(root.path() + "/" + file, facts.status());
  }
  return *facts ? Found(**std::move(facts)) : Found(NoFacts(root.path() + "/" + file));
}

Found OfStorage(const TrustedDirectory& root, const std::string& id) {
  FirstOf first;
  for (const std::string& directory : root.List(".", kMaxListed)) {
    if (!directory.ends_with("-containers")) {  // Before it, the driver: overlay, vfs, …
      continue;
    }
    if (first.Add(OfBundle(root, fmt::format("{}/{}/userdata/config.json", directory, id), id)) ||
        first.Add(OfStorageList(root, directory + "/containers.json", id)) ||
        first.Add(OfStorageList(root, directory + "/volatile-containers.json", id))) {
      break;
    }
  }
  return first.Take();
}

// Of the line "name:x:1000:100:…:/home/name:/bin/sh".
absl::StatusOr<std::string> HomeOf(uint32_t uid, const std::string& passwd) {
  const size_t slash = passwd.rfind('/');
  VEDETTE_ASSIGN_OR_RETURN(const TrustedDirectory directory,
                           TrustedDirectory::Open(passwd.substr(0, slash + 1)));
  VEDETTE_ASSIGN_OR_RETURN(const std::string text,
                           directory.Read(passwd.substr(slash + 1), kMaxPasswdBytes));
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    std::vector<std::string_view> fields;
    while (fields.size() < 6) {
      fields.push_back(line.substr(0, line.find(':')));
      line.remove_prefix(std::min(line.size(), fields.back().size() + 1));
    }
    if (fields[2] == std::to_string(uid) && fields[5].starts_with('/')) {
      return std::string(fields[5]);
    }
  }
  return absl::NotFoundError(fmt::format("{}: no user {}", passwd, uid));
}

absl::StatusOr<TrustedDirectory> OpenHome(uint32_t uid, const std::string& passwd) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string home, HomeOf(uid, passwd));
  const std::string type = MountTable::ReadOwn().TypeOfPath(home).value_or("unknown");
  if (std::find(kLocalFilesystems.begin(), kLocalFilesystems.end(), type) ==
      kLocalFilesystems.end()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: is on {}, which may have to be waited for", home, type));
  }
  return TrustedDirectory::OpenWithoutLinks(home);
}

Found OfUser(const CgroupName& cgroup, const std::string& passwd) {
  VEDETTE_ASSIGN_OR_RETURN(const TrustedDirectory home, OpenHome(*cgroup.user_id, passwd));
  if (cgroup.runtime == "docker") {
    VEDETTE_ASSIGN_OR_RETURN(const TrustedDirectory root, home.OpenBelow(kUserDocker));
    return OfDocker(root, cgroup.container_id);
  }
  VEDETTE_ASSIGN_OR_RETURN(const TrustedDirectory root, home.OpenBelow(kUserStorage));
  return OfStorage(root, cgroup.container_id);
}

}  // namespace

bool IsNamedById(const CgroupName& cgroup) {
  return cgroup.is_instance && IsFullId(cgroup.container_id) &&
         cgroup.workload.starts_with("container/");
}

absl::StatusOr<ContainerIdentity> RuntimeMetadata::Find(const CgroupName& cgroup,
                                                        std::string_view path) const {
  if (!IsFileName(cgroup.container_id)) {
    return absl::NotFoundError("a container's id that is no file's name");
  }
  FirstOf first;
  const std::string& runtime = cgroup.runtime;
  const bool any = runtime == "kubernetes" || runtime == "container";
  const auto look = [&](const std::vector<std::string>& roots, auto of) {
    for (const std::string& path_of_root : roots) {
      absl::StatusOr<TrustedDirectory> root = TrustedDirectory::Open(path_of_root);
      if (first.Add(root.ok() ? of(*root) : Found(root.status()))) {
        return;
      }
    }
  };
  if (cgroup.user_id.value_or(0) != 0) {
    if (!roots_.passwd.empty()) {
      first.Add(OfUser(cgroup, roots_.passwd));
    }
  } else {
    const std::string& id = cgroup.container_id;
    if (any || runtime == "containerd") {
      look(roots_.containerd, [&](const auto& root) { return OfContainerd(root, id, path); });
    }
    if (any || runtime == "podman" || runtime == "cri-o") {
      look(roots_.storage, [&](const auto& root) { return OfStorage(root, id); });
    }
    if (any || runtime == "docker") {
      look(roots_.docker, [&](const auto& root) { return OfDocker(root, id); });
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(const ContainerFacts facts, first.Take());
  ContainerIdentity identity = {LastingName(facts, cgroup.user_id), facts.runtime};
  if (identity.workload.empty()) {
    return NoFacts(cgroup.container_id);
  }
  return identity;
}

}  // namespace vedette
