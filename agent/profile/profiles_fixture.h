// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "agent/profile/profile_json.h"
#include "agent/profile/profile_test_events.h"
#include "agent/profile/profiles.h"

namespace vedette {

// Profiles on a database of its own that can be closed and opened again. For tests.
class ProfilesTest : public testing::Test {
 protected:
  ProfilesTest() : dir_(testing::TempDir() + "/profiles_test." + std::to_string(getpid())) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    Reopen();
  }
  ~ProfilesTest() override {
    profiles_.reset();
    db_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Reopen() {
    profiles_.reset();
    db_.reset();
    auto db = SqliteDatabase::Open(dir_ + "/vedette.db");
    ASSERT_TRUE(db.ok()) << db.status();
    db_ = *std::move(db);
    auto profiles = Profiles::Load(db_.get(), &clock_, options_);
    ASSERT_TRUE(profiles.ok()) << profiles.status();
    profiles_ = *std::move(profiles);
  }

  void Commit(bool flush = false) {
    ASSERT_TRUE(db_->Begin().ok());
    const absl::Status status = flush ? profiles_->Flush() : profiles_->Write();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(db_->Commit().ok());
    profiles_->Committed();
  }

  ScoredEvent Judge(EnrichedEvent e) { return profiles_->Judge(std::move(e)); }
  void Wait(absl::Duration time) {
    clock_.Advance(time);
    events_.time += time;
  }
  void Freeze() { ASSERT_TRUE(profiles_->Freeze({}, "root").ok()); }
  std::string Dump() { return ToJson(profiles_->Show("host/web").value()).dump(); }

  std::string dir_;
  TestEvents events_;
  ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  ProfilesOptions options_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Profiles> profiles_;
};

}  // namespace vedette
