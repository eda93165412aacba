// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/unique_fd.h"
#include "tests/support/wait_for.h"

namespace vedette::testing {

struct ChildOptions {
  std::vector<std::string> argv;  // argv[0] is searched in PATH unless it holds a slash.
  std::vector<std::string> env;   // "NAME=value", beside the caller's own environment.
  int cgroup_fd = -1;             // The child is born inside this cgroup; it never moves.
  int netns_fd = -1;              // Entered before the exec.
};

struct ChildResult {
  int exit_code = -1;  // -1: ended by `signal`.
  int signal = 0;
  std::string out;
  std::string err;
};

// One process with pipes on its three standard streams. It is killed and reaped with its Child, and
// dies with the thread that made it. Its output is collected while one waits or reads a line, so a
// child that writes more than a pipe holds stops until then. One thread. Does not touch what the
// process has started itself.
class Child {
 public:
  static absl::StatusOr<Child> Spawn(const ChildOptions& options);
  static absl::StatusOr<Child> Spawn(std::vector<std::string> argv);
  // Spawns, closes stdin and waits for the end.
  static absl::StatusOr<ChildResult> Run(std::vector<std::string> argv,
                                         absl::Duration bound = kDefaultBound);

  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  bool Running();
  bool Write(std::string_view bytes);  // False: nobody reads any more.
  void CloseInput() { in_.Reset(); }
  // The next line of stdout, without its end. DeadlineExceeded, or OutOfRange at the end of it.
  absl::StatusOr<std::string> ReadLine(absl::Duration bound = kDefaultBound);
  // What has come on stderr until now.
  const std::string& Err();
  void Kill(int signal = SIGKILL);
  // All output since the last line read, once the process has ended. DeadlineExceeded leaves it
  // running. Later calls give the same.
  absl::StatusOr<ChildResult> Wait(absl::Duration bound = kDefaultBound);

 private:
  Child() = default;
  void Collect(int timeout_ms);
  bool Reap();

  pid_t pid_ = -1;
  bool reaped_ = false;
  int wait_status_ = 0;
  UniqueFd pidfd_;
  UniqueFd in_;
  UniqueFd out_;
  UniqueFd err_;
  std::string out_bytes_;
  std::string err_bytes_;
};

}  // namespace vedette::testing
