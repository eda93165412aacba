// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/inbox.h"

#include <utility>

#include "absl/synchronization/notification.h"

namespace vedette {
namespace {

constexpr size_t kMaxBatches = 4;

}  // namespace

struct Inbox::Task {
  std::function<absl::Status()> run;
  absl::Status answer;
  absl::Notification answered;
  bool dropped = false;  // Guarded by mutex_, as is begun.
  bool begun = false;
};

bool Inbox::Offer(Batch& batch) {
  absl::MutexLock lock(&mutex_);
  if (batches_.size() >= kMaxBatches || closed_) {
    return false;
  }
  batches_.push_back(std::move(batch));
  batch = Batch();
  return true;
}

absl::Status Inbox::Ask(const std::function<absl::Status()>& run, absl::Duration timeout) {
  auto task = std::make_shared<Task>();
  task->run = run;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) {
      return absl::UnavailableError("the agent is stopping");
    }
    tasks_.push_back(task);
  }
  if (task->answered.WaitForNotificationWithTimeout(timeout)) {
    return task->answer;
  }
  {
    absl::MutexLock lock(&mutex_);
    task->dropped = true;
    if (!task->begun) {
      return absl::UnavailableError("the agent is busy and did not answer in time; try again");
    }
  }
  // It has begun: what it captured must live until it ends.
  task->answered.WaitForNotification();
  return task->answer;
}

void Inbox::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

Inbox::Work Inbox::Next(bool take_batches, absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  auto has_work = [this, take_batches]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || !tasks_.empty() || (take_batches && !batches_.empty());
  };
  mutex_.AwaitWithTimeout(absl::Condition(&has_work), patience);
  const bool can_batch = take_batches && !batches_.empty();
  Work work;
  if (!tasks_.empty() && !(gave_task_last_ && can_batch)) {
    std::shared_ptr<Task> task = std::move(tasks_.front());
    tasks_.pop_front();
    task->begun = !task->dropped;
    if (task->begun) {
      work.task = std::move(task);
    }
    gave_task_last_ = true;
    return work;
  }
  gave_task_last_ = false;
  if (can_batch) {
    work.batch = std::move(batches_.front());
    batches_.pop_front();
  } else {
    work.stop = closed_;
  }
  return work;
}

void Inbox::Run(Task& task) {
  task.answer = task.run();
  task.answered.Notify();
}

}  // namespace vedette
