// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/base/mutex.h"
#include "agent/base/unique_fd.h"
#include "agent/enrich/hash_request.h"
#include "agent/enrich/hash_worker.h"

namespace vedette {

// The hash thread: hands one program after the other to a worker process, compares the kernel's key
// of the file before and after, and waits no longer than a deadline for each answer. A worker that
// does not answer is left behind, what it hung on is not touched again for a while, and another one
// goes on. It opens no file of others itself, so it cannot hang, and it judges nothing.
class HashThread final : public CodeHasher {
 public:
  struct Limits {
    size_t waiting = 4096;
    uint64_t max_hashed_bytes = 64ull << 20;     // Larger files have no hash.
    absl::Duration deadline = absl::Seconds(5);  // Of one program.
    absl::Duration distrust = absl::Minutes(5);  // Of a filesystem that did not answer.
    size_t hanging_workers = 4;                  // With so many, nothing more is hashed.
  };
  struct Health {
    uint64_t stalls = 0;  // Since the start.
    size_t hanging = 0;   // Workers that hang now.
    std::string trouble;  // One sentence, or empty.
    pid_t worker = -1;    // The one that was started last.
  };

  // `keys` outlives it.
  HashThread(std::unique_ptr<HashSpawner> spawner, KeyReader* keys, Limits limits);
  // Answers nothing more. Does not wait for workers that hang.
  ~HashThread() override;

  bool Submit(HashRequest request) override;
  std::vector<HashResult> Take(absl::Duration patience) override;
  Health health() const;

 private:
  struct Step {
    HashOutcome outcome = HashOutcome::kGone;
    std::string sha256;
    UniqueFd handle;
  };

  void Run();
  HashResult Hash(const HashRequest& request);
  HashOutcome HashAt(const HashRequest& request, CodePlace place, HashResult& result);
  bool EnsureWorker();
  Step Ask(const HashRequest& request, HashOrder::Kind kind, CodePlace place);
  void LeaveBehind(const HashRequest& request, HashOrder::Kind kind);
  void LookAfterHanging();

  const std::unique_ptr<HashSpawner> spawner_;
  KeyReader* const keys_;
  const Limits limits_;
  UniqueFd stop_;  // Readable once the thread is to end.

  mutable Mutex mutex_;
  std::deque<HashRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<HashResult> results_ ABSL_GUARDED_BY(mutex_);
  Health health_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The thread's own.
  std::optional<HashWorker> worker_;
  std::vector<HashWorker> hanging_;
  absl::flat_hash_map<uint64_t, Deadline> distrusted_until_;  // By device; expired ones go.
  Deadline no_paths_until_ = Deadline::Now();
  Deadline deadline_ = Deadline::Now();
  std::thread thread_;
};

}  // namespace vedette
