// SPDX-License-Identifier: Apache-2.0
#include "agent/base/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "agent/base/unique_fd.h"

namespace vedette {

absl::Status TellServiceManager(std::string_view state) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || *name == '\0') {
    return absl::OkStatus();
  }
  const std::string path = name;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if ((path[0] != '/' && path[0] != '@') || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError("NOTIFY_SOCKET: " + path +
                                      " is not the address of a Unix socket; the service manager "
                                      "is not told when the agent is ready");
  }
  memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') {
    address.sun_path[0] = '\0';  // A name that is in no file system.
  }
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (!fd.valid() || sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                            reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return absl::UnavailableError("NOTIFY_SOCKET: " + path + ": " + strerror(errno) +
                                  "; the service manager is not told when the agent is ready");
  }
  return absl::OkStatus();
}

}  // namespace vedette
