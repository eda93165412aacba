// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"
#include "agent/event/process.h"

namespace vedette {

// Reads the kernel's key of an open file. The one implementation that counts asks BPF code, because
// user space cannot compute a key.
class KeyReader {
 public:
  virtual ~KeyReader() = default;
  virtual absl::StatusOr<CodeKey> Read(int fd) = 0;
};

// Where a file that some process runs can be found, in the order in which they are tried.
enum class CodePlace { kProcessImage, kProcessRoot, kHostRoot };

// Opens a candidate for reading; invalid when there is none. That it is the right file is for the
// key to say, not for the path.
using CodeOpener = std::function<UniqueFd(CodePlace, uint32_t tgid, const std::string& path)>;

// /proc/TGID/exe; /proc/TGID/root + path; path. Never blocks on a FIFO or takes a terminal.
UniqueFd OpenCode(CodePlace place, uint32_t tgid, const std::string& path);

}  // namespace vedette
