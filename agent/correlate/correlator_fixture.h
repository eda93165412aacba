// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/correlate/correlator.h"
#include "agent/profile/profile_test_events.h"

namespace vedette {

// Profiles and findings on one database, as the pipeline has them. For tests.
class CorrelatorTest : public testing::Test {
 protected:
  CorrelatorTest() : dir_(testing::TempDir() + "/correlator_test." + std::to_string(getpid())) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    Reopen();
    Send(events_.Exec("/bin/known"));
    EXPECT_TRUE(profiles_->Freeze({}, "root").ok());
    Commit();
  }
  ~CorrelatorTest() override {
    Close();
    std::filesystem::remove_all(dir_);
  }

  void Close() {
    correlator_.reset();
    profiles_.reset();
    db_.reset();
  }

  void Reopen() {
    Close();
    auto db = SqliteDatabase::Open(dir_ + "/vedette.db");
    ASSERT_TRUE(db.ok()) << db.status();
    db_ = *std::move(db);
    auto profiles = Profiles::Load(db_.get(), &clock_, {});
    ASSERT_TRUE(profiles.ok()) << profiles.status();
    profiles_ = *std::move(profiles);
    auto correlator = Correlator::Load(db_.get(), &clock_, options_);
    ASSERT_TRUE(correlator.ok()) << correlator.status();
    correlator_ = *std::move(correlator);
  }

  std::optional<Finding> Send(EnrichedEvent event) {
    return correlator_->Correlate(profiles_->Judge(std::move(event)));
  }

  void Commit() {
    ASSERT_TRUE(db_->Begin().ok());
    ASSERT_TRUE(profiles_->Write().ok());
    const absl::Status status = correlator_->Write();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(db_->Commit().ok());
    profiles_->Committed();
    correlator_->Committed();
  }

  std::vector<Finding> Due() {
    Updates updates = correlator_->DueUpdates();
    EXPECT_TRUE(updates.status.ok()) << updates.status;
    return std::move(updates.findings);
  }

  void Wait(absl::Duration time) {
    clock_.Advance(time);
    events_.time += time;
  }

  std::string dir_;
  TestEvents events_;
  ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  CorrelatorOptions options_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Profiles> profiles_;
  std::unique_ptr<Correlator> correlator_;
};

}  // namespace vedette
