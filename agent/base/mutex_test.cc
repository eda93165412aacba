// SPDX-License-Identifier: Apache-2.0
#include "agent/base/mutex.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

namespace vedette {
namespace {

constexpr absl::Duration kBound = absl::Seconds(20);

TEST(MutexTest, OneThreadAtATime) {
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        MutexLock lock(&mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, 4000);
}

TEST(MutexTest, AnUnlockWakesEveryoneWhoseConditionHolds) {
  Mutex mutex;
  int stage = 0;
  std::vector<std::thread> threads;
  for (int mine = 1; mine <= 3; ++mine) {
    threads.emplace_back([&mutex, &stage, mine] {
      MutexLock lock(&mutex);
      EXPECT_TRUE(mutex.AwaitWithTimeout([&] { return stage >= mine; }, kBound));
    });
  }
  for (int i = 0; i < 3; ++i) {
    MutexLock lock(&mutex);
    ++stage;
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// Both change something and wait for the other without an unlock of their own in between.
TEST(MutexTest, WhoWaitsTellsWhatItChangedBefore) {
  Mutex mutex;
  bool ping = false, pong = false;
  std::thread other([&] {
    MutexLock lock(&mutex);
    EXPECT_TRUE(mutex.AwaitWithTimeout([&] { return ping; }, kBound));
    pong = true;
  });
  {
    MutexLock lock(&mutex);
    ping = true;
    EXPECT_TRUE(mutex.AwaitWithTimeout([&] { return pong; }, kBound));
  }
  other.join();
}

TEST(MutexTest, ABoundThatIsOverIsTold) {
  Mutex mutex;
  MutexLock lock(&mutex);
  const auto never = [] { return false; };
  EXPECT_FALSE(mutex.AwaitWithTimeout(never, absl::Milliseconds(1)));
  EXPECT_FALSE(mutex.AwaitWithTimeout(never, -absl::InfiniteDuration()));
  EXPECT_FALSE(mutex.AwaitWithDeadline(never, Deadline::In(-absl::InfiniteDuration())));
  EXPECT_FALSE(mutex.AwaitWithDeadline(never, Deadline::Now()));
  EXPECT_TRUE(
      mutex.AwaitWithDeadline([] { return true; }, Deadline::In(-absl::InfiniteDuration())));
}

TEST(MutexTest, EndlessBoundsWait) {
  Mutex mutex;
  std::optional<std::thread> other;
  bool done = false;
  {
    MutexLock lock(&mutex);
    other.emplace([&] {
      MutexLock inner(&mutex);
      done = true;
    });
    mutex.Await([&] { return done; });
    EXPECT_TRUE(mutex.AwaitWithTimeout([&] { return done; }, absl::InfiniteDuration()));
  }
  other->join();
}

}  // namespace
}  // namespace vedette
