// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/store.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "agent/base/status.h"

namespace vedette {
namespace {

// Reads every page once: what SQLite calls damaged is found now, not in the middle of the night.
absl::Status Check(SqliteDatabase& db) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement check, db.Prepare("PRAGMA quick_check(1)"));
  VEDETTE_ASSIGN_OR_RETURN(bool row, check.Step());
  if (row && check.Bytes(0) == "ok") {
    return absl::OkStatus();
  }
  return absl::DataLossError(fmt::format("{}: {}", db.path(), check.Bytes(0)));
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> OpenChecked(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> db, SqliteDatabase::Open(path));
  VEDETTE_RETURN_IF_ERROR(Check(*db));
  return db;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteDatabase>> OpenStore(const std::string& dir, absl::Time now) {
  std::error_code error;
  if (std::filesystem::create_directories(dir, error)) {
    std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
  }
  if (error) {
    return absl::PermissionDeniedError(fmt::format(
        "{}: cannot make the directory of the store: {}; set store.dir", dir, error.message()));
  }
  const std::string path = dir + "/vedette.db";
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> db = OpenChecked(path);
  if (db.ok() || db.status().code() != absl::StatusCode::kDataLoss) {
    return db;
  }
  const std::string aside = fmt::format(
      "{}.damaged-{}", path, absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()));
  std::filesystem::rename(path, aside, error);
  for (const char* suffix : {"-wal", "-shm"}) {
    std::filesystem::rename(path + suffix, aside + suffix, error);
  }
  spdlog::error("{}; it is set aside as {} and learning begins anew", Message(db.status()), aside);
  return OpenChecked(path);
}

}  // namespace vedette
