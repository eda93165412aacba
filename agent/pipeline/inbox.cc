// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/inbox.h"

#include <utility>

namespace vedette {
namespace {

constexpr size_t kMaxBatches = 4;

}  // namespace

struct Inbox::Task {
  std::function<absl::Status()> run;
  // Guarded by mutex_, all of them.
  absl::Status answer;
  bool answered = false;
  bool dropped = false;
  bool begun = false;
};

bool Inbox::Offer(Batch& batch) {
  MutexLock lock(&mutex_);
  if (batches_.size() >= kMaxBatches || closed_) {
    return false;
  }
  batches_.push_back(std::move(batch));
  batch = Batch();
  return true;
}

uint64_t Inbox::queued_events() const {
  MutexLock lock(&mutex_);
  uint64_t events = 0;
  for (const Batch& batch : batches_) {
    events += batch.events.size();
  }
  return events;
}

absl::Status Inbox::Ask(const std::function<absl::Status()>& run, absl::Duration timeout) {
  auto task = std::make_shared<Task>();
  task->run = run;
  const auto answered = [&task] { return task->answered; };
  MutexLock lock(&mutex_);
  if (closed_) {
    return absl::UnavailableError("the agent is stopping");
  }
  tasks_.push_back(task);
  if (mutex_.AwaitWithTimeout(answered, timeout)) {
    return task->answer;
  }
  if (!task->begun) {
    task->dropped = true;
    return absl::UnavailableError("the agent is busy and did not answer in time; try again");
  }
  // It has begun: what it captured must live until it ends.
  mutex_.Await(answered);
  return task->answer;
}

void Inbox::Close() {
  MutexLock lock(&mutex_);
  closed_ = true;
}

Inbox::Work Inbox::Next(bool take_batches, absl::Duration patience) {
  MutexLock lock(&mutex_);
  auto has_work = [this, take_batches]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || !tasks_.empty() || (take_batches && !batches_.empty());
  };
  mutex_.AwaitWithTimeout(has_work, patience);
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
  absl::Status answer = task.run();
  MutexLock lock(&mutex_);
  task.answer = std::move(answer);
  task.answered = true;
}

}  // namespace vedette
