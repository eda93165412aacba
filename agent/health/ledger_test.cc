// SPDX-License-Identifier: Apache-2.0
#include "agent/health/ledger.h"

#include <gtest/gtest.h>

#include <thread>

namespace vedette {
namespace {

TEST(LedgerTest, TotalsPerStageCounterAndReason) {
  Ledger ledger;
  LedgerAccount& code = ledger.Account("kernel", "cpu0/code");
  code.Set(10, 6, {{"queue-full", 3}, {"unknown-kind", 1}});
  ledger.Account("kernel", "cpu1/code").Set(1, 0, {});
  EXPECT_EQ(&ledger.Account("kernel", "cpu0/code"), &code);

  std::vector<LedgerEntry> entries = ledger.Snapshot();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0], (LedgerEntry{.stage = "kernel",
                                     .counter = "cpu0/code",
                                     .received = 10,
                                     .delivered = 6,
                                     .dropped = {{"queue-full", 3}, {"unknown-kind", 1}}}));
  EXPECT_EQ(entries[0].DroppedTotal(), 4u);
  EXPECT_EQ(entries[0].Balance(), 0);
  EXPECT_EQ(entries[1].Balance(), 1);
}

TEST(LedgerTest, NewTotalsReplaceWhatWasThere) {
  Ledger ledger;
  ledger.Account("kernel", "cpu0/code").Set(7, 5, {{"ring-full", 2}});
  ledger.Account("kernel", "cpu0/code").Set(9, 10, {{"ring-full", 3}});
  std::vector<LedgerEntry> entries = ledger.Snapshot();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].Balance(), -4) << "more out than in is not hidden";
}

TEST(LedgerTest, ASnapshotIsOfOneMoment) {
  constexpr uint64_t kRecords = 20000;
  Ledger ledger;
  LedgerAccount& account = ledger.Account("collect", "records");
  std::thread writer([&] {
    for (uint64_t i = 1; i <= kRecords; ++i) {
      account.Set(2 * i, i, {{"undecodable", i}});
    }
  });
  for (uint64_t received = 0; received < 2 * kRecords;) {
    const LedgerEntry entry = ledger.Snapshot()[0];
    EXPECT_EQ(entry.Balance(), 0);
    EXPECT_GE(entry.received, received);
    received = entry.received;
  }
  writer.join();
}

}  // namespace
}  // namespace vedette
