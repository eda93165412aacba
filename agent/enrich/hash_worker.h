// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"
#include "agent/base/unique_fd.h"
#include "agent/enrich/code_finder.h"
#include "agent/enrich/hash_request.h"

namespace vedette {

// What the hash thread asks of a worker, and its answers; the path follows an order.
struct HashOrder {
  enum class Kind : uint8_t { kFind, kHash };
  uint64_t device = 0;
  uint64_t max_bytes = 0;
  uint32_t tgid = 0;
  uint32_t neighbour_tgid = 0;
  Kind kind = Kind::kFind;
  CodePlace place = CodePlace::kProcessImage;
  bool in_memory = false;
};
struct HashAnswer {
  HashOutcome outcome = HashOutcome::kGone;  // Of kFind: kHashed means found, with its handle.
  char sha256[64] = {};
};

// A process that opens and reads files for the agent. A filesystem that never answers keeps it, and
// it cannot be killed then; the agent itself goes on and can end.
struct HashWorker {
  UniqueFd socket;  // The worker ends when it is closed, unless it hangs.
  UniqueFd pidfd;
  pid_t pid = -1;
};

// The parent of all workers: a process that was forked while the agent had one thread and nothing
// open, holds nothing of the agent's, and ends with it. It touches no files, so it never hangs.
class HashSpawner {
 public:
  // To be called before the process has a second thread.
  static absl::StatusOr<std::unique_ptr<HashSpawner>> Fork();
  ~HashSpawner();
  absl::StatusOr<HashWorker> Spawn();

 private:
  HashSpawner(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
  UniqueFd socket_;
  const pid_t pid_;
};

// Waits until `socket` has something to read, at most until `deadline`, or
// until `stop` can be read. False: it has not.
bool AwaitReadable(int socket, int stop, Deadline deadline);

}  // namespace vedette
