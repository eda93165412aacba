// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/sqlite.h"
#include "agent/base/unique_fd.h"

namespace vedette {

// What is known of the database before it is opened.
enum class StoreState {
  kUnknown,   // It is checked, and taken for damaged if it does not pass.
  kDamaged,   // Damage was met while it was used.
  kUnusable,  // What can be read of it is not what an agent wrote.
};

struct OpenedStore {
  UniqueFd lock;  // While it is held, no other agent opens the store.
  std::unique_ptr<SqliteDatabase> db;
  std::string damage;  // What was lost and where the damaged file is; empty: nothing.
};

// Opens the store below `dir`, which is made when it is not there. A damaged database is set aside
// under a name with the time, and a new one begun with all of the old one that can be read (but for
// kUnusable). Errors name the path and what to do; AlreadyExists: another agent has the store.
absl::StatusOr<OpenedStore> OpenStore(const std::string& dir, absl::Time now, StoreState state);

// Files that were set aside, oldest first.
std::vector<std::string> DamagedCopies(const std::string& path);

// What is wrong with the store and what to do, in one sentence.
std::string StoreTrouble(const absl::Status& status, const std::string& path);

}  // namespace vedette
