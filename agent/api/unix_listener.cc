// SPDX-License-Identifier: Apache-2.0
#include "agent/api/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr int kBacklog = 64;
constexpr mode_t kMode = 0660;

absl::Status ErrnoError(const std::string& path, std::string_view what, int error) {
  std::string sentence = fmt::format("{}: {}: {}; choose another api.socket or run as root", path,
                                     what, strerror(error));
  return error == EACCES || error == EPERM ? absl::PermissionDeniedError(sentence)
                                           : absl::InternalError(sentence);
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: too long for a Unix socket; choose a shorter api.socket", path));
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string DirectoryOf(const std::string& path) {
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// -1 where there is no such group.
gid_t GroupId(const std::string& name) {
  std::vector<char> buffer(4096);
  group entry = {};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? static_cast<gid_t>(-1) : found->gr_gid;
}

void GiveToGroup(const std::string& name, const std::string& group) {
  gid_t gid = GroupId(group);
  if (gid == static_cast<gid_t>(-1)) {
    spdlog::info("api: there is no group {}; only the owner can use the socket", group);
  } else if (chown(name.c_str(), static_cast<uid_t>(-1), gid) != 0) {
    spdlog::warn("api: cannot give the socket to group {}: {}; only the owner can use it", group,
                 strerror(errno));
  }
}

}  // namespace

absl::Status CheckUnixSocketFree(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT || errno == ENOTDIR ? absl::OkStatus()
                                               : ErrnoError(path, "cannot be looked at", errno);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: is there and is not a socket; move it away or choose another api.socket", path));
  }
  VEDETTE_ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(path));
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) {
    return ErrnoError(path, "no socket can be made", errno);
  }
  if (connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    return absl::AlreadyExistsError(
        fmt::format("{}: another agent answers there; stop it or choose another api.socket", path));
  }
  return errno == ECONNREFUSED || errno == ENOENT ? absl::OkStatus()
                                                  : ErrnoError(path, "cannot be tried", errno);
}

absl::StatusOr<UnixListener> UnixListener::Bind(const std::string& path, const std::string& group) {
  UnixListener listener;
  listener.path_ = path;
  std::string directory = DirectoryOf(path);
  std::error_code ignored;  // The open below tells what is wrong.
  std::filesystem::create_directories(directory, ignored);
  listener.directory_lock_.Reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listener.directory_lock_.valid() || flock(listener.directory_lock_.get(), LOCK_EX) != 0) {
    return ErrnoError(directory, "cannot be used for the socket", errno);
  }
  VEDETTE_RETURN_IF_ERROR(CheckUnixSocketFree(path));

  std::string name = fmt::format("{}.{}", path, getpid());
  VEDETTE_ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(name));
  listener.socket_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.socket_.valid()) {
    return ErrnoError(path, "no socket can be made", errno);
  }
  unlink(name.c_str());  // Of a dead process that had our number.
  if (bind(listener.socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(path, "cannot be made", errno);
  }
  struct stat status = {};
  if (lstat(name.c_str(), &status) != 0) {
    return ErrnoError(path, "cannot be made", errno);
  }
  listener.name_ = name;
  listener.device_ = status.st_dev;
  listener.inode_ = status.st_ino;
  GiveToGroup(name, group);
  if (chmod(name.c_str(), kMode) != 0 || listen(listener.socket_.get(), kBacklog) != 0) {
    return ErrnoError(path, "cannot be made", errno);
  }
  return listener;
}

absl::Status UnixListener::Publish() {
  if (rename(name_.c_str(), path_.c_str()) != 0) {
    return ErrnoError(path_, "cannot be put in place", errno);
  }
  name_ = path_;
  directory_lock_.Reset();
  return absl::OkStatus();
}

UnixListener::UnixListener(UnixListener&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::exchange(other.name_, "")),
      socket_(std::move(other.socket_)),
      directory_lock_(std::move(other.directory_lock_)),
      device_(other.device_),
      inode_(other.inode_) {}

UnixListener::~UnixListener() {
  struct stat status = {};
  if (!name_.empty() && lstat(name_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    unlink(name_.c_str());
  }
}

}  // namespace vedette
