// SPDX-License-Identifier: Apache-2.0
#include "agent/health/ledger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "agent/base/mutex.h"

namespace vedette {
namespace {

TEST(LedgerTest, CountsPerStageCounterAndReason) {
  Ledger ledger;
  LedgerAccount& news = ledger.Account("collect", "cpu0/news");
  news.Received(10);
  news.Delivered(6);
  news.Dropped("queue-full", 3);
  news.Dropped("unknown-kind");
  ledger.Account("collect", "cpu1/news").Received();
  EXPECT_EQ(&ledger.Account("collect", "cpu0/news"), &news);

  std::vector<LedgerEntry> entries = ledger.Snapshot();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0], (LedgerEntry{.stage = "collect",
                                     .counter = "cpu0/news",
                                     .received = 10,
                                     .delivered = 6,
                                     .dropped = {{"queue-full", 3}, {"unknown-kind", 1}}}));
  EXPECT_EQ(entries[0].DroppedTotal(), 4u);
  EXPECT_EQ(entries[0].Balance(), 0);
  EXPECT_EQ(entries[1].Balance(), 1);
}

TEST(LedgerTest, TotalsCountedElsewhereReplaceWhatWasThere) {
  Ledger ledger;
  ledger.Account("kernel", "cpu0/news").Set(7, 5, {{"ring-full", 2}});
  ledger.Account("kernel", "cpu0/news").Set(9, 10, {{"ring-full", 3}});
  std::vector<LedgerEntry> entries = ledger.Snapshot();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].Balance(), -4) << "more out than in is not hidden";
}

// A stage with a bounded queue that two writers overfill: nothing is lost without a reason, and no
// snapshot taken meanwhile shows more out than in.
TEST(LedgerTest, FullQueueBalancesUnderConcurrency) {
  constexpr int kRecords = 20000;
  constexpr size_t kQueue = 64;
  Ledger ledger;
  LedgerAccount& account = ledger.Account("pipeline", "events");
  Mutex mutex;
  std::deque<int> queue;
  std::atomic<int> writers{2};
  auto write = [&] {
    for (int i = 0; i < kRecords; ++i) {
      account.Received();
      MutexLock lock(&mutex);
      if (queue.size() >= kQueue) {
        account.Dropped("queue-full");
      } else {
        queue.push_back(i);
      }
    }
    --writers;
  };
  std::thread a(write), b(write);
  std::thread reader([&] {
    for (bool last = false; !last;) {
      last = writers == 0;
      MutexLock lock(&mutex);
      account.Delivered(queue.size());
      queue.clear();
    }
  });
  while (writers > 0) {
    EXPECT_GE(ledger.Snapshot()[0].Balance(), 0);
  }
  a.join();
  b.join();
  reader.join();
  LedgerEntry entry = ledger.Snapshot()[0];
  EXPECT_EQ(entry.received, 2u * kRecords);
  EXPECT_EQ(entry.Balance(), 0);
}

}  // namespace
}  // namespace vedette
