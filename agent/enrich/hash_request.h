// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/event/process.h"

namespace vedette {

// Reads the kernel's key of an open file. The one implementation that counts asks BPF code, because
// user space cannot compute a key. Called by the hash thread.
class KeyReader {
 public:
  virtual ~KeyReader() = default;
  virtual absl::StatusOr<CodeKey> Read(int fd) = 0;
};

// A program to be hashed, and where its file may be found.
struct HashRequest {
  CodeKey key;
  uint32_t tgid = 0;            // A process that runs it, or did.
  uint32_t neighbour_tgid = 0;  // One that often outlives it and sees the same files; 0: none.
  std::string path;             // As both see it; empty: looked for in /proc/TGID/exe only.
  bool in_memory = false;       // A memfd: no mount lists its filesystem, no server holds it.
};

// kGone: nothing could be opened. kChanged: another file, or it changed meanwhile. kUntrusted: it
// lies where a process of somebody else answers for the content. kStalled: whoever holds the file
// did not answer in time. kUnavailable: there is nobody left to hash.
enum class HashOutcome {
  kHashed,
  kGone,
  kChanged,
  kTooLarge,
  kUnreadable,
  kUntrusted,
  kStalled,
  kUnavailable
};

struct HashResult {
  CodeKey key;
  HashOutcome outcome = HashOutcome::kGone;
  std::string sha256;  // Of kHashed.
};

// Hashes programs beside the pipeline. Every request that was taken is answered, in bounded time.
class CodeHasher {
 public:
  virtual ~CodeHasher() = default;
  // Never blocks. False: too many wait already.
  virtual bool Submit(HashRequest request) = 0;
  // What was answered since the last call; waits for something at most `patience`.
  virtual std::vector<HashResult> Take(absl::Duration patience) = 0;
};

}  // namespace vedette
