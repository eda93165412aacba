// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/event/process.h"

namespace vedette {

// A program was executed. `process` holds the new image. Strings are bytes, not text.
struct ExecEvent {
  ProcessContext process;
  CodeKey parent_code;  // The image that called exec.
  ExecId previous;      // The execution that this one replaced.
  std::string path;     // From the container's root; of the interpreter when a script was run.
  bool path_truncated = false;
  bool path_elsewhere = false;  // It does not end at the root that the container had at its start.
  uint64_t root_device = 0;     // Where the path ends.
  uint64_t root_inode = 0;
  std::vector<std::string> argv;
  bool argv_truncated = false;
  std::string script;  // Name of the script as its caller gave it (unverified); empty for a binary.
  bool script_truncated = false;
  bool lineage_unknown =
      false;  // No context at the act: the calling code and ancestors are unknown.
  CodeOrigin origin = CodeOrigin::kUnknown;
  uint32_t filesystem = 0;  // The magic number of the file's superblock; 0: not known.
};

// A process that was there before the agent; read by an iterator.
struct ProcessSeenEvent {
  ProcessContext process;
  std::string path;
  bool path_truncated = false;
  bool path_elsewhere = false;
  std::vector<std::string> argv;
  CodeOrigin origin = CodeOrigin::kUnknown;
};

// A new thread group, before any exec of its own.
struct ForkEvent {
  ProcessContext process;
};

// The last thread of a process is gone. `status` is as wait(2) gives it.
struct ExitEvent {
  ProcessContext process;
  uint32_t status = 0;
  absl::Duration lifetime;
};

// Credentials differ from those at the last look (exec, connect or exit).
struct CredentialEvent {
  ProcessContext process;  // With the new credentials.
  Credentials before;
};

}  // namespace vedette
