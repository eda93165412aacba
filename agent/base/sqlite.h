// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace vedette {

// A prepared statement. Parameters count from 1, columns from 0, as SQLite counts them. One thread;
// must not outlive its database.
class SqliteStatement {
 public:
  SqliteStatement(SqliteStatement&&) = default;
  SqliteStatement& operator=(SqliteStatement&&) = default;

  SqliteStatement& Bind(int index, int64_t value);
  SqliteStatement& Bind(int index, double value);
  SqliteStatement& BindText(int index, std::string_view value);
  SqliteStatement& BindBlob(int index, std::string_view value);

  // True: a row is there to read. False: the statement is done.
  absl::StatusOr<bool> Step();
  // Runs to the end and makes the statement ready for the next values.
  absl::Status Run();
  void Reset();

  int64_t Int64(int column) const;
  double Double(int column) const;
  std::string Bytes(int column) const;  // TEXT and BLOB.

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* stmt) const;
  };
  explicit SqliteStatement(sqlite3_stmt* stmt) : stmt_(stmt) {}
  std::unique_ptr<sqlite3_stmt, Finalize> stmt_;
};

// One connection to a SQLite file in WAL mode with synchronous=FULL: a commit that returned OK
// survives a kill of the process and a loss of power. One thread per connection.
class SqliteDatabase {
 public:
  // Makes the file if it is not there. Errors name the path: PermissionDenied (also a disk that can
  // only be read), DataLoss (not a database, or damaged), ResourceExhausted (disk full), Unknown
  // (disk fails), Unavailable (locked for 5 s).
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path);

  absl::Status Exec(const std::string& sql);  // Any number of statements, no parameters.
  absl::StatusOr<SqliteStatement> Prepare(const std::string& sql);

  absl::Status Begin();
  absl::Status Commit();
  void Rollback();
  // Writes the log back into the file and cuts it. Unavailable at once, if somebody reads from it.
  absl::Status WriteBack();

  // How long a lock of another process is waited for: 5 s, or not so patient 100 ms.
  void SetPatient(bool patient);
  // The path does not name this file any more: what is committed is lost when it is closed.
  bool HasMoved() const;

  int64_t Changes() const;  // Rows changed by the last statement.
  int64_t LastInsertId() const;
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  SqliteDatabase(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  absl::Status LetShrink();
  absl::Status Error(std::string_view what) const;
  std::unique_ptr<sqlite3, Close> db_;
  std::string path_;
  bool patient_ = true;
};

}  // namespace vedette
