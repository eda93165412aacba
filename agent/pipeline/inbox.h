// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/base/mutex.h"
#include "agent/collect/collector.h"

namespace vedette {

// What waits for the pipeline thread: batches of the collect thread, and tasks that other threads
// ask for. Thread-safe; Next and Run belong to the pipeline thread. Bounded: batches are refused
// when they are too many, tasks wait no longer than whoever asked.
class Inbox {
 public:
  struct Task;
  struct Work {
    std::optional<Batch> batch;
    std::shared_ptr<Task> task;
    bool stop = false;  // Nothing is left, and nothing will come.
  };

  // Never blocks. False: no room, and the batch is as it was.
  bool Offer(Batch& batch);
  // Waits until the pipeline thread has run `task`. Unavailable: it was not begun in `timeout`.
  absl::Status Ask(const std::function<absl::Status()>& task, absl::Duration timeout);
  // Refuses what comes from now on; what is there is still given out.
  void Close();

  // Waits for work, at most `patience`. Without `take_batches` only tasks are given out. Batches
  // and tasks come in turns: whoever asks without end must not keep what happens from being judged.
  Work Next(bool take_batches, absl::Duration patience);
  void Run(Task& task);
  // Events in the batches that wait.
  uint64_t queued_events() const;

 private:
  mutable Mutex mutex_;
  std::deque<Batch> batches_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Task>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool gave_task_last_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace vedette
