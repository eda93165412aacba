// SPDX-License-Identifier: Apache-2.0
// What of the profiles survives a restart, and what a damaged store does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

using testing::HasSubstr;

class ProfilesStoreTest : public ProfilesTest {};

TEST_F(ProfilesStoreTest, TheTimeTheAgentWasDownDoesNotCount) {
  Judge(events_.Exec("/bin/a"));
  Wait(absl::Hours(10));
  Commit(true);
  Wait(absl::Hours(1000));
  Reopen();
  profiles_->Tick();
  EXPECT_EQ(profiles_->List()[0].state, ProfileState::kLearning);
  EXPECT_EQ(profiles_->List()[0].watched, absl::Hours(10));
  Wait(absl::Hours(14));
  profiles_->Tick();
  EXPECT_EQ(profiles_->List()[0].state, ProfileState::kLearned);
  // A longer time asked for later does not start learning again.
  Commit();
  options_.learning.min_time = absl::Hours(48);
  Reopen();
  EXPECT_EQ(profiles_->List()[0].state, ProfileState::kLearned);
}

TEST_F(ProfilesStoreTest, ARestartJudgesAsBeforeAndForgetsNothing) {
  const std::string odd("/bin/\xff\n\x1b[0m\0z", 13);
  events_.container_id = "c1";
  Judge(events_.Exec(odd, "h1"));
  Judge(events_.Connect("db.example", 5432));
  Judge(events_.Flow(FlowStage::kListening, "", 80));
  Freeze();
  Wait(absl::Hours(2));
  const ScoredEvent before = Judge(events_.Exec("/bin/new", "n"));
  Commit(true);
  const std::string dump = Dump();
  Reopen();
  EXPECT_EQ(Dump(), dump);
  EXPECT_EQ(Judge(events_.Exec(odd, "h1")).judgement, Judgement::kKnown);
  EXPECT_EQ(Judge(events_.Connect("db.example", 5432)).judgement, Judgement::kKnown);
  const ScoredEvent after = Judge(events_.Exec("/bin/new", "n"));
  EXPECT_EQ(after.judgement, Judgement::kDeviation);
  EXPECT_EQ(after.sentence, before.sentence);
  EXPECT_DOUBLE_EQ(after.score, before.score);
  EXPECT_EQ(profiles_->Show("host/web")->deviations.size(), 1u);
}

TEST_F(ProfilesStoreTest, WhatWasRolledBackIsWrittenTheNextTime) {
  Judge(events_.Exec("/bin/a", "", {7, 1, 0, 1}));
  Commit();
  profiles_->AddCounts({7, 1, 0, 1}, {.hits = 5}, events_.time);
  ASSERT_TRUE(db_->Begin().ok());
  ASSERT_TRUE(profiles_->Flush().ok());
  db_->Rollback();
  Judge(events_.Exec("/bin/b"));
  Commit();      // Writes the new row only …
  Commit(true);  // … and this the counts that were rolled back.
  const std::string dump = Dump();
  Reopen();
  EXPECT_EQ(Dump(), dump);
  EXPECT_EQ(profiles_->Show("host/web")->behaviours[0].count, 6u);
}

TEST_F(ProfilesStoreTest, ADamagedStoreIsDataLoss) {
  Judge(events_.Exec("/bin/a"));
  Commit();
  ASSERT_TRUE(db_->Exec("UPDATE behaviour SET channel = 'nonsense'").ok());
  const auto bad_row = Profiles::Load(db_.get(), &clock_, options_);
  EXPECT_EQ(bad_row.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(bad_row.status().message()), HasSubstr(dir_ + "/vedette.db"));

  ASSERT_TRUE(db_->Exec("UPDATE profile_meta SET value = 99 WHERE key = 'schema'").ok());
  EXPECT_EQ(Profiles::Load(db_.get(), &clock_, options_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ProfilesStoreTest, DamagedPagesAreDataLoss) {
  for (int i = 0; i < 500; ++i) {
    Judge(events_.Exec("/bin/" + std::to_string(i)));
  }
  Commit();
  profiles_.reset();
  db_.reset();  // Checkpoints and removes the write-ahead log.
  const std::string path = dir_ + "/vedette.db";
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (std::streamoff page = 4096 * 6; page < size; page += 4096) {
    file.seekp(page);
    file << std::string(256, '\xa5');
  }
  file.close();
  auto db = SqliteDatabase::Open(path);
  ASSERT_TRUE(db.ok()) << db.status();
  const auto loaded = Profiles::Load(db->get(), &clock_, options_);
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss) << loaded.status();
}

TEST_F(ProfilesStoreTest, AThousandWorkloadsAreLoaded) {
  for (int w = 0; w < 1000; ++w) {
    events_.workload = "host/w" + std::to_string(w);
    for (int b = 0; b < 100; ++b) {
      Judge(events_.Exec("/usr/bin/program-" + std::to_string(b)));
    }
  }
  Commit();
  const auto start = std::chrono::steady_clock::now();
  Reopen();
  const std::chrono::duration<double> load = std::chrono::steady_clock::now() - start;
  RecordProperty("load_ms", static_cast<int>(load.count() * 1000));
  EXPECT_EQ(profiles_->List().size(), 1000u);
  EXPECT_EQ(profiles_->List()[999].channels[0].behaviours, 100u);
}

}  // namespace
}  // namespace vedette
