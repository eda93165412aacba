// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/sqlite.h"
#include "agent/profile/profile.h"

namespace vedette {

// Where a profile is in the store.
struct ProfileRows {
  int64_t workload = 0;
  std::vector<int64_t> behaviours;
};

// Profiles as rows: tables workload, learning, activity, behaviour (deviations included),
// dismissal and
// profile_meta. Rows are written whole and by key, so that writing one twice does no harm. Owned by
// Profiles, pipeline thread. Opens no transaction: the caller does.
class ProfileStore {
 public:
  struct Content {
    std::vector<std::unique_ptr<Profile>> profiles;
    absl::Duration uptime;
    int64_t last_workload_row = 0;
    int64_t last_behaviour_row = 0;
  };

  // Makes the tables where they are not there. FailedPrecondition: written by a newer version.
  static absl::StatusOr<std::unique_ptr<ProfileStore>> Open(SqliteDatabase* db);

  // DataLoss: the file is damaged, or holds what this agent never wrote.
  absl::StatusOr<Content> Load();

  absl::Status SaveUptime(absl::Duration uptime);
  absl::Status SaveWorkload(const Profile& profile);  // With its activity.
  absl::Status SaveEntry(const ProfileEntry& entry);
  absl::Status Remove(const ProfileRows& rows);  // Those that are there.
  absl::Status RemoveEntry(int64_t row);         // The same.

 private:
  ProfileStore(SqliteDatabase* db, std::vector<SqliteStatement> statements)
      : db_(db), statements_(std::move(statements)) {}
  absl::Status LoadWorkloads(Content& content);
  absl::Status LoadLearning(Content& content);
  absl::Status LoadActivity(Content& content);
  using Dismissals = absl::flat_hash_map<int64_t, Dismissal>;  // By behaviour.
  absl::StatusOr<Dismissals> LoadDismissals();
  absl::Status LoadEntries(Content& content);
  absl::Status SaveDismissal(const ProfileEntry& entry);
  absl::Status SaveLearning(const Profile& profile);
  absl::Status Damaged(std::string_view what) const;

  SqliteDatabase* const db_;
  std::vector<SqliteStatement> statements_;  // In the order of kSaves.
};

}  // namespace vedette
