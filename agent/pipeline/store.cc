// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "agent/base/status.h"
#include "agent/pipeline/salvage.h"

namespace vedette {
namespace {

namespace fs = std::filesystem;

constexpr char kDamagedSuffix[] = ".damaged-";
constexpr const char* kCompanions[] = {"-wal", "-shm"};

// Reads every page once: what SQLite calls damaged is found now, not in the middle of the night.
absl::Status Check(SqliteDatabase& db) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement check, db.Prepare("PRAGMA quick_check(1)"));
  VEDETTE_ASSIGN_OR_RETURN(bool row, check.Step());
  if (row && check.Bytes(0) == "ok") {
    return absl::OkStatus();
  }
  return absl::DataLossError(fmt::format("{}: {}", db.path(), check.Bytes(0)));
}

// A file of an agent that did not give free pages back is written anew, once.
absl::Status GiveBackFreePages(SqliteDatabase& db) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement mode, db.Prepare("PRAGMA auto_vacuum"));
  VEDETTE_ASSIGN_OR_RETURN(const bool row, mode.Step());
  const bool done = row && mode.Int64(0) == 2;
  mode.Reset();
  return done ? absl::OkStatus() : db.Exec("PRAGMA auto_vacuum=INCREMENTAL; VACUUM");
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> OpenChecked(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> db, SqliteDatabase::Open(path));
  VEDETTE_RETURN_IF_ERROR(Check(*db));
  if (const absl::Status status = GiveBackFreePages(*db); !status.ok()) {
    spdlog::warn("{}: free pages are used again but not given back to the disk: {}", path,
                 Message(status));
  }
  return db;
}

// A name that is not taken.
std::string AsideOf(const std::string& path, absl::Time now) {
  const std::string wanted =
      path + kDamagedSuffix + absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone());
  std::string name = wanted;
  for (int i = 2; fs::exists(name); ++i) {
    name = fmt::format("{}.{}", wanted, i);
  }
  return name;
}

// Two agents would give the same numbers to different rows, and take each other's findings for
// delivered. A filesystem without locks is used all the same.
absl::StatusOr<UniqueFd> Lock(const std::string& dir) {
  UniqueFd lock(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.valid() && flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::AlreadyExistsError(fmt::format(
        "{}: another agent uses this store; stop it, or give this one its own store.dir", dir));
  }
  return lock;
}

absl::StatusOr<OpenedStore> BeginAnew(const std::string& path, absl::Time now, StoreState state,
                                      const absl::Status& why) {
  const std::string aside = AsideOf(path, now);
  std::error_code error;
  fs::rename(path, aside, error);
  if (error) {
    return absl::PermissionDeniedError(fmt::format(
        "{}: is damaged and cannot be set aside: {}; move it away", path, error.message()));
  }
  for (const char* suffix : kCompanions) {
    fs::rename(path + suffix, aside + suffix, error);
  }
  OpenedStore store;
  VEDETTE_ASSIGN_OR_RETURN(store.db, OpenChecked(path));
  std::string carried = "nothing of it could be used";
  if (state != StoreState::kUnusable) {
    carried = SalvageText(Salvage(aside, *store.db));
  }
  store.damage = fmt::format("{}: was damaged and is set aside as {}; {}", path, aside, carried);
  spdlog::error("{} ({})", store.damage, Message(why));
  return store;
}

absl::StatusOr<OpenedStore> Open(const std::string& path, absl::Time now, StoreState state) {
  if (state != StoreState::kUnknown) {
    return BeginAnew(path, now, state, absl::DataLossError("found while it was used"));
  }
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> db = OpenChecked(path);
  if (db.ok()) {
    return OpenedStore{UniqueFd(), *std::move(db), ""};
  }
  if (!absl::IsDataLoss(db.status())) {
    return absl::Status(db.status().code(), StoreTrouble(db.status(), path));
  }
  return BeginAnew(path, now, state, db.status());
}

}  // namespace

absl::StatusOr<OpenedStore> OpenStore(const std::string& dir, absl::Time now, StoreState state) {
  std::error_code error;
  if (fs::create_directories(dir, error)) {
    fs::permissions(dir, fs::perms::owner_all, error);
  }
  if (error) {
    return absl::PermissionDeniedError(fmt::format(
        "{}: cannot make the directory of the store: {}; set store.dir", dir, error.message()));
  }
  VEDETTE_ASSIGN_OR_RETURN(UniqueFd lock, Lock(dir));
  VEDETTE_ASSIGN_OR_RETURN(OpenedStore store, Open(dir + "/vedette.db", now, state));
  store.lock = std::move(lock);
  return store;
}

std::vector<std::string> DamagedCopies(const std::string& path) {
  std::vector<std::string> copies;
  std::error_code error;
  const std::string prefix = path + kDamagedSuffix;
  for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), error)) {
    if (entry.path().string().rfind(prefix, 0) == 0) {
      copies.push_back(entry.path().string());
    }
  }
  std::sort(copies.begin(), copies.end());
  return copies;
}

std::string StoreTrouble(const absl::Status& status, const std::string& path) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return fmt::format("{}: the disk is full: make room, or set store.dir to another disk", path);
    case absl::StatusCode::kPermissionDenied:
      return fmt::format(
          "{}: cannot be written: is the disk mounted read-only, or the file another user's? Make "
          "it writable, or set store.dir",
          path);
    case absl::StatusCode::kUnknown:
      return fmt::format(
          "{}: the disk fails or turned read-only: see the kernel's log, and make it writable, or "
          "set store.dir to another disk",
          path);
    case absl::StatusCode::kDataLoss:
      return fmt::format("{}: the database is damaged: it is set aside and begun anew", path);
    case absl::StatusCode::kUnavailable:
      return fmt::format("{}: another process holds the database: end it", path);
    default:
      return std::string(Message(status));
  }
}

}  // namespace vedette
