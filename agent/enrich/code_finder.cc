// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_finder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string_view>

#include "fmt/format.h"

namespace vedette {
namespace {

constexpr int kHandle = O_PATH | O_CLOEXEC;

std::optional<uint64_t> MountOf(int handle) {
  struct statx info = {};
  // What the kernel holds already is enough: nobody is asked.
  if (statx(handle, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &info) != 0 ||
      (info.stx_mask & STATX_MNT_ID) == 0) {
    return std::nullopt;
  }
  return info.stx_mnt_id;
}

bool TrustsMount(uint64_t id, const MountTable& mounts) {
  const std::optional<std::string> type = mounts.TypeOfMount(id);
  return type && !IsServedByProcess(*type);
}

}  // namespace

UniqueFd FindImage(uint32_t tgid) {
  return UniqueFd(open(fmt::format("/proc/{}/exe", tgid).c_str(), kHandle));
}

UniqueFd FindBelow(const std::string& root, const std::string& path, const MountTable& mounts) {
  // A path with a NUL byte would name another file than it says.
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
    return UniqueFd();
  }
  UniqueFd at(open(root.c_str(), kHandle | O_DIRECTORY));
  std::string_view rest = path;
  std::optional<uint64_t> trusted;
  while (at.valid()) {
    const std::optional<uint64_t> mount = MountOf(at.get());
    if (!mount || (mount != trusted && !TrustsMount(*mount, mounts))) {
      return UniqueFd();
    }
    trusted = mount;
    rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
    if (rest.empty()) {
      return at;
    }
    const std::string name(rest.substr(0, rest.find('/')));
    rest.remove_prefix(name.size());
    if (name == "..") {
      return UniqueFd();
    }
    at = UniqueFd(openat(at.get(), name.c_str(), kHandle | O_NOFOLLOW));
  }
  return at;
}

bool MayRead(int handle, uint64_t device, const MountTable& mounts) {
  if (const std::optional<std::string> type = mounts.TypeOfDevice(device)) {
    return !IsServedByProcess(*type);
  }
  // A layer whose filesystem is mounted in no namespace that can be seen, or a detached mount.
  const std::optional<uint64_t> mount = MountOf(handle);
  return mount && TrustsMount(*mount, mounts);
}

}  // namespace vedette
