// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/cache_bindings.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace vedette {
namespace {

constexpr CacheSlot kSlot = {7, 1, 1, 3};
const Behaviour kProgram = {Channel::kExec, "", "", "/bin/a", "abc", ""};
const Act kConnect = {Channel::kConnect, "net:loopback:80/tcp"};

class CacheBindingsTest : public ::testing::Test {
 protected:
  void SetUp() override { db_ = SqliteDatabase::Open(dir_ / "vedette.db").value(); }
  std::unique_ptr<CacheBindings> Load() {
    return CacheBindings::Load(db_.get(), "boot", /*adopted=*/true).value();
  }
  void Commit(CacheBindings& bindings) {
    ASSERT_TRUE(db_->Begin().ok());
    ASSERT_TRUE(bindings.Write().ok());
    ASSERT_TRUE(db_->Commit().ok());
    bindings.Committed();
  }

  testing::TempDir dir_{"cache-bindings"};
  std::unique_ptr<SqliteDatabase> db_;
};

// An agent that was killed must not tell again what was told: latency and retransmits included.
TEST_F(CacheBindingsTest, WhatWasTakenIsNotTakenAgainByTheNextAgent) {
  BehaviourCount total;
  total.acts = 5;
  total.failures = 1;
  total.retransmits = 3;
  total.latency[0] = 2;
  total.latency[15] = 1;
  {
    auto bindings = Load();
    bindings->Add(kSlot, {"host/a", kProgram, {.acts = 1}, kConnect});
    auto delta = bindings->Take(kSlot, total);
    ASSERT_TRUE(delta);
    EXPECT_EQ(delta->hits, 4u);
    EXPECT_EQ(delta->retransmits, 3u);
    EXPECT_EQ(delta->latency[0], 2u);
    EXPECT_EQ(delta->latency[15], 1u);
    Commit(*bindings);
  }
  auto bindings = Load();
  const CacheBindings::Row* row = bindings->Find(kSlot);
  ASSERT_NE(row, nullptr);
  // What a profile made of it is one thing, what was done another.
  EXPECT_EQ(row->behaviour, kProgram);
  EXPECT_EQ(row->done(), kConnect);
  EXPECT_FALSE(bindings->Take(kSlot, total));
  total.latency[4] = 1;
  auto delta = bindings->Take(kSlot, total);
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->hits, 0u);
  EXPECT_EQ(delta->latency[0], 0u);
  EXPECT_EQ(delta->latency[4], 1u);
}

TEST_F(CacheBindingsTest, AnOlderStoreIsReadAndWritten) {
  ASSERT_TRUE(db_->Exec(R"sql(
CREATE TABLE cache_boot(boot_id TEXT NOT NULL);
INSERT INTO cache_boot VALUES('boot');
CREATE TABLE cache_binding(
  workload_number INTEGER NOT NULL, generation INTEGER NOT NULL, cache INTEGER NOT NULL,
  slot INTEGER NOT NULL, workload BLOB NOT NULL, channel INTEGER NOT NULL, subject BLOB NOT NULL,
  subject_sha256 TEXT NOT NULL, object BLOB NOT NULL, object_sha256 TEXT NOT NULL,
  qualifier BLOB NOT NULL, acts INTEGER NOT NULL, failures INTEGER NOT NULL,
  sent_bytes INTEGER NOT NULL, received_bytes INTEGER NOT NULL,
  PRIMARY KEY(workload_number, generation, slot)) WITHOUT ROWID;
INSERT INTO cache_binding VALUES(7,1,1,3,x'77',0,x'','',x'2f62','',x'',5,0,0,0);
)sql")
                  .ok());
  auto bindings = Load();
  const CacheBindings::Row* row = bindings->Find(kSlot);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->counted.acts, 5u);
  EXPECT_EQ(row->done(), (Act{Channel::kExec, "/b"}));
  BehaviourCount total = row->counted;
  total.retransmits = 2;
  ASSERT_TRUE(bindings->Take(kSlot, total));
  Commit(*bindings);
  EXPECT_EQ(Load()->Find(kSlot)->counted.retransmits, 2u);
}

TEST_F(CacheBindingsTest, WhatTheProfileLostIsJudgedAnewAndCountsGoOn) {
  BehaviourCount total;
  total.acts = 5;
  auto bindings = Load();
  bindings->Add(kSlot, {"host/a", kProgram, {.acts = 1}, kConnect});
  ASSERT_TRUE(bindings->Take(kSlot, total));
  bindings->Unjudge(kSlot);
  EXPECT_FALSE(bindings->Has(kSlot));
  total.acts = 7;
  EXPECT_FALSE(bindings->Take(kSlot, total)) << "of what no profile has";
  bindings->Add(kSlot, {"host/a", kProgram, {.acts = 1}, kConnect});
  EXPECT_TRUE(bindings->Has(kSlot));
  auto delta = bindings->Take(kSlot, total);
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->hits, 2u);
  // A second time it is not added.
  bindings->Add(kSlot, {"host/b", kProgram, {.acts = 1}, kConnect});
  EXPECT_EQ(bindings->Find(kSlot)->workload, "host/a");
}

TEST_F(CacheBindingsTest, AnEntryThatMadeRoomIsGoneFromTheStoreToo) {
  const CacheSlot other = {7, 1, 1, 7};
  {
    auto bindings = Load();
    bindings->Add(kSlot, {"host/a", kProgram, {.acts = 1}, kConnect});
    bindings->Add(other, {"host/a", kProgram, {.acts = 1}, kConnect});
    Commit(*bindings);
    bindings->Forget(kSlot);
    EXPECT_FALSE(bindings->Has(kSlot));
    // A commit that failed is repeated.
    ASSERT_TRUE(db_->Begin().ok());
    ASSERT_TRUE(bindings->Write().ok());
    db_->Rollback();
    EXPECT_TRUE(Load()->Has(kSlot));
    Commit(*bindings);
  }
  EXPECT_FALSE(Load()->Has(kSlot));
  EXPECT_TRUE(Load()->Has(other));
}

// A killed agent's finding of a loss is in the store with this: it is not told again.
TEST_F(CacheBindingsTest, WhatWasToldOfLossesIsKnownToTheNextAgentUntilTheWorkloadGoes) {
  const auto told = [](const CacheBindings& bindings) {
    uint32_t lost = 0;
    for (const VerdictCache::ToldLoss& loss : bindings.told_losses()) {
      EXPECT_EQ(loss.workload_number, 7u);
      EXPECT_EQ(loss.generation, 9u);
      EXPECT_EQ(loss.cache, 1u);
      lost += loss.lost;
    }
    return lost;
  };
  OverflowEvent overflow{.workload_number = 7, .generation = 9, .cache = 1};
  {
    auto bindings = Load();
    bindings->AddLost(overflow);  // A full cache is no loss.
    EXPECT_EQ(told(*bindings), 0u);
    overflow.lost = 3;
    bindings->AddLost(overflow);
    Commit(*bindings);
    bindings->AddLost(overflow);  // Killed before the commit: it was not told.
  }
  {
    auto bindings = Load();
    EXPECT_EQ(told(*bindings), 3u);
    overflow.lost = 2;
    bindings->AddLost(overflow);
    Commit(*bindings);
  }
  auto bindings = Load();
  EXPECT_EQ(told(*bindings), 5u);
  bindings->ForgetWorkload(7);
  Commit(*bindings);
  EXPECT_EQ(told(*Load()), 0u);
}

}  // namespace
}  // namespace vedette
