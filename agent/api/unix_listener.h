// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"

namespace vedette {

// OK when no live process listens on `path`: nothing is there, or a socket that a dead one left.
// AlreadyExists when one does, FailedPrecondition when the path is something else than a socket.
absl::Status CheckUnixSocketFree(const std::string& path);

// A Unix socket made under another name and put in place when it is ready, so that who finds it can
// use it. Mode 0660; the group is `group` where that exists. Removes the name when destroyed, if it
// is still its own. One thread.
class UnixListener {
 public:
  // Binds and listens beside `path`. Makes the directory. Another agent that starts on the same
  // path waits until Publish or the end of this one.
  static absl::StatusOr<UnixListener> Bind(const std::string& path, const std::string& group);
  absl::Status Publish();
  UniqueFd TakeSocket() { return std::move(socket_); }

  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

 private:
  UnixListener() = default;

  std::string path_;
  std::string name_;  // Where the socket is now; empty: nowhere.
  UniqueFd socket_;
  UniqueFd directory_lock_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace vedette
