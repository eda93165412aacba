// SPDX-License-Identifier: Apache-2.0
#include "agent/base/stage_ledger.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(StageLedgerTest, BalancesOnlyWhenEveryItemIsAccountedFor) {
  StageLedger ledger;
  EXPECT_TRUE(ledger.Balances());
  ledger.received = 5;
  ledger.emitted = 2;
  EXPECT_FALSE(ledger.Balances());
  ledger.Drop("full");
  ledger.Drop("full");
  ledger.Drop("late", 1);
  EXPECT_TRUE(ledger.Balances());
  EXPECT_EQ(ledger.DroppedFor("full"), 2u);
  EXPECT_EQ(ledger.DroppedFor("none"), 0u);
  ledger.emitted = 3;
  EXPECT_FALSE(ledger.Balances());
}

}  // namespace
}  // namespace vedette
