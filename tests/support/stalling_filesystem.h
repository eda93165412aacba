// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "agent/base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {

// A FUSE filesystem with one program in it, and an overlay above it, both in a mount namespace of
// their own. Hidden, only the overlay is left of them in the table of mounts. Its server answers
// everybody but processes with the name `silent_to`: those it lets open the file and never answers.
// It is a process of its own; all is gone when that is killed, in the destructor. Needs root and
// /dev/fuse.
class StallingFilesystem {
 public:
  struct Options {
    std::string program;    // Copied into it.
    std::string silent_to;  // Name of a process.
    bool hidden = false;
  };
  // nullptr, with the reason in `error`, where the kernel refuses.
  static std::unique_ptr<StallingFilesystem> Start(const Options& options, std::string& error);
  ~StallingFilesystem();

  pid_t server() const { return pid_; }  // Its mount namespace is that of the filesystem.
  std::string direct() const { return dir_ / "fuse/program"; }
  std::string through_overlay() const { return dir_ / "merged/program"; }
  // How many requests were left without an answer.
  int silences() const;

 private:
  StallingFilesystem() = default;
  TempDir dir_{"vedette-stall"};
  pid_t pid_ = -1;
  int* silences_ = nullptr;  // Shared with the server.
};

}  // namespace vedette::testing
