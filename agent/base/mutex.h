// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"

namespace vedette {

// A mutex on which one can wait for a condition over what it guards; whoever unlocks wakes those
// who wait, so nobody has to signal. Made of the standard library's, which ThreadSanitizer sees
// into: Debian's absl::Mutex is compiled without it (docs/adr/0008). For rare waits by few threads:
// every unlock wakes every waiter.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    Wake();
    mutex_.unlock();
  }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

  // Waits, with the mutex given up meanwhile, until `condition` holds. It must depend on nothing
  // but what the mutex guards, or on what ends with the bound.
  template <typename Condition>
  void Await(const Condition& condition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    AwaitWithDeadline(condition, Deadline::Never());
  }

  // The same with a bound; whether the condition holds at the end.
  template <typename Condition>
  bool AwaitWithTimeout(const Condition& condition, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    return AwaitWithDeadline(condition, Deadline::In(timeout));
  }
  template <typename Condition>
  bool AwaitWithDeadline(const Condition& condition, Deadline deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    return Wait(condition, deadline);
  }

 private:
  // The caller holds the mutex and may have changed what others wait for.
  void Wake() {
    if (waiters_ > 0) {
      changed_.notify_all();
    }
  }

  template <typename Condition>
  bool Wait(const Condition& condition, Deadline deadline) {
    // The longest that the standard library's clocks take without an overflow, and more.
    constexpr absl::Duration kSlice = absl::Hours(1);
    if (condition()) {
      return true;
    }
    Wake();
    std::unique_lock<std::mutex> lock(mutex_, std::adopt_lock);
    ++waiters_;
    bool holds = false;
    while (!holds && !deadline.IsPassed()) {
      changed_.wait_for(lock, absl::ToChronoNanoseconds(std::min(deadline.Left(), kSlice)));
      holds = condition();
    }
    --waiters_;
    lock.release();
    return holds;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int waiters_ = 0;  // Guarded by mutex_.
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace vedette
