// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/bounded_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "fmt/format.h"

namespace vedette {
namespace {

constexpr uint64_t kBelow =
    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr int kDirectory = O_PATH | O_DIRECTORY | O_CLOEXEC;
// A pipe, or a device, must not hold us up or become our terminal.
constexpr int kFile = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

int OpenAt(int directory, const std::string& path, int flags, uint64_t resolve) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = resolve;
  return static_cast<int>(syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how)));
}

absl::Status OpenError(const std::string& path) {
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(path);
    case ELOOP:
    case EXDEV:
      return absl::FailedPreconditionError(
          fmt::format("{}: a link or a mount leads out of where the runtime writes", path));
    default:
      return absl::ErrnoToStatus(errno, path);
  }
}

}  // namespace

absl::StatusOr<TrustedDirectory> TrustedDirectory::Open(const std::string& path) {
  UniqueFd fd(OpenAt(AT_FDCWD, path, kDirectory, 0));
  if (!fd.valid()) {
    return OpenError(path);
  }
  return TrustedDirectory(std::move(fd), path);
}

absl::StatusOr<TrustedDirectory> TrustedDirectory::OpenWithoutLinks(const std::string& path) {
  UniqueFd fd(OpenAt(AT_FDCWD, path, kDirectory, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
  if (!fd.valid()) {
    return OpenError(path);
  }
  return TrustedDirectory(std::move(fd), path);
}

absl::StatusOr<TrustedDirectory> TrustedDirectory::OpenBelow(const std::string& relative) const {
  const std::string full = path_ + "/" + relative;
  UniqueFd fd(OpenAt(fd_.get(), relative, kDirectory, kBelow));
  if (!fd.valid()) {
    return OpenError(full);
  }
  return TrustedDirectory(std::move(fd), full);
}

absl::StatusOr<std::string> TrustedDirectory::Read(const std::string& relative,
                                                   size_t max_bytes) const {
  const std::string full = path_ + "/" + relative;
  const UniqueFd fd(OpenAt(fd_.get(), relative, kFile, kBelow));
  if (!fd.valid()) {
    return OpenError(full);
  }
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, full);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(full + ": is not a regular file");
  }
  std::string text;
  size_t got = 0;
  do {
    text.resize(std::min(max_bytes + 1, got + 64 * 1024));
    const ssize_t n = read(fd.get(), text.data() + got, text.size() - got);
    if (n < 0) {
      return absl::ErrnoToStatus(errno, full);
    }
    got += static_cast<size_t>(n);
    if (n == 0) {
      text.resize(got);
      return text;
    }
  } while (got <= max_bytes);
  return absl::ResourceExhaustedError(
      fmt::format("{}: is larger than {} KiB", full, max_bytes / 1024));
}

std::vector<std::string> TrustedDirectory::List(const std::string& relative, size_t max) const {
  std::vector<std::string> names;
  UniqueFd fd(OpenAt(fd_.get(), relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC, kBelow));
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fd.valid() ? fdopendir(fd.get()) : nullptr,
                                                      [](DIR* open) { return closedir(open); });
  if (directory == nullptr) {
    return names;
  }
  fd.Release();
  while (const dirent* entry = names.size() < max ? readdir(directory.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace vedette
