// SPDX-License-Identifier: Apache-2.0
#include "agent/base/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr int kShortBusyTimeoutMs = 100;

// Of a log that was written back, so much of the file stays.
constexpr char kPragmas[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
    "PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=4194304;";

absl::StatusCode CodeOf(int sqlite_code, int system_errno) {
  if ((sqlite_code & 0xff) == SQLITE_IOERR) {
    switch (system_errno) {
      case ENOSPC:
      case EDQUOT:
        return absl::StatusCode::kResourceExhausted;
      case EROFS:
        return absl::StatusCode::kPermissionDenied;
      default:
        return absl::StatusCode::kUnknown;
    }
  }
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrorOf(sqlite3* db, std::string_view path, std::string_view what) {
  return absl::Status(CodeOf(sqlite3_extended_errcode(db), sqlite3_system_errno(db)),
                      fmt::format("{}: {}: {}", path, what, sqlite3_errmsg(db)));
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* stmt) const { sqlite3_finalize(stmt); }
void SqliteDatabase::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

SqliteStatement& SqliteStatement::Bind(int index, int64_t value) {
  sqlite3_bind_int64(stmt_.get(), index, value);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int index, double value) {
  sqlite3_bind_double(stmt_.get(), index, value);
  return *this;
}

SqliteStatement& SqliteStatement::BindText(int index, std::string_view value) {
  sqlite3_bind_text(stmt_.get(), index, value.data(), static_cast<int>(value.size()),
                    SQLITE_TRANSIENT);
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(int index, std::string_view value) {
  // A null pointer would bind NULL; an empty view may have one.
  sqlite3_bind_blob(stmt_.get(), index, value.empty() ? "" : value.data(),
                    static_cast<int>(value.size()), SQLITE_TRANSIENT);
  return *this;
}

absl::StatusOr<bool> SqliteStatement::Step() {
  switch (sqlite3_step(stmt_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default: {
      sqlite3* db = sqlite3_db_handle(stmt_.get());
      const char* path = sqlite3_db_filename(db, "main");
      absl::Status status = ErrorOf(db, path == nullptr ? "" : path, sqlite3_sql(stmt_.get()));
      Reset();
      return status;
    }
  }
}

absl::Status SqliteStatement::Run() {
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(bool row, Step());
    if (!row) {
      Reset();
      return absl::OkStatus();
    }
  }
}

void SqliteStatement::Reset() {
  sqlite3_reset(stmt_.get());
  sqlite3_clear_bindings(stmt_.get());
}

int64_t SqliteStatement::Int64(int column) const {
  return sqlite3_column_int64(stmt_.get(), column);
}

double SqliteStatement::Double(int column) const {
  return sqlite3_column_double(stmt_.get(), column);
}

std::string SqliteStatement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(stmt_.get(), column);
  int size = sqlite3_column_bytes(stmt_.get(), column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path) {
  sqlite3* raw = nullptr;
  int code =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteDatabase> db(new SqliteDatabase(raw, path));
  if (code != SQLITE_OK) {
    return db->Error("cannot open");
  }
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  VEDETTE_RETURN_IF_ERROR(db->LetShrink());
  VEDETTE_RETURN_IF_ERROR(db->Exec(kPragmas));
  return db;
}

// Free pages can be given back to the disk. Only for a file that is empty yet: in another it takes
// the lock of a writer, and has no effect.
absl::Status SqliteDatabase::LetShrink() {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement pages, Prepare("PRAGMA page_count"));
  VEDETTE_ASSIGN_OR_RETURN(const bool row, pages.Step());
  return row && pages.Int64(0) == 0 ? Exec("PRAGMA auto_vacuum=INCREMENTAL") : absl::OkStatus();
}

absl::Status SqliteDatabase::Exec(const std::string& sql) {
  if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Error(sql);
  }
  return absl::OkStatus();
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(const std::string& sql) {
  sqlite3_stmt* stmt = nullptr;
  if (sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &stmt, nullptr) != SQLITE_OK) {
    return Error(sql);
  }
  return SqliteStatement(stmt);
}

absl::Status SqliteDatabase::Begin() { return Exec("BEGIN IMMEDIATE"); }
absl::Status SqliteDatabase::Commit() { return Exec("COMMIT"); }
void SqliteDatabase::Rollback() { sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr); }

absl::Status SqliteDatabase::WriteBack() {
  sqlite3_busy_timeout(db_.get(), 0);
  const int code =
      sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  SetPatient(patient_);
  return code == SQLITE_OK ? absl::OkStatus() : Error("write back");
}

void SqliteDatabase::SetPatient(bool patient) {
  patient_ = patient;
  sqlite3_busy_timeout(db_.get(), patient ? kBusyTimeoutMs : kShortBusyTimeoutMs);
}

bool SqliteDatabase::HasMoved() const {
  int moved = 0;
  return sqlite3_file_control(db_.get(), nullptr, SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
         moved != 0;
}

int64_t SqliteDatabase::Changes() const { return sqlite3_changes64(db_.get()); }
int64_t SqliteDatabase::LastInsertId() const { return sqlite3_last_insert_rowid(db_.get()); }

absl::Status SqliteDatabase::Error(std::string_view what) const {
  return ErrorOf(db_.get(), path_, what);
}

}  // namespace vedette
