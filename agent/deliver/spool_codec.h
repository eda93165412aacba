// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/sqlite.h"

namespace vedette {

// Tables of the codec; CreateSpoolTables runs them.
extern const char kSpoolDictionaryTables[];

// Events of one node are alike: the same host, workloads, ancestors, sentences. Their rows are
// compressed with zstd against a dictionary, which is the text of the first events of this store;
// rows from before there is one are plain. A compressed row begins with a zero byte, as no protobuf
// message does. One thread, which is that of the database's connection.
class SpoolEncoder {
 public:
  static absl::StatusOr<SpoolEncoder> Open(SqliteDatabase& db);
  SpoolEncoder(SpoolEncoder&&) noexcept;
  ~SpoolEncoder();

  // The row of an event; inside the caller's transaction, since a row and its dictionary are
  // committed together or not at all.
  absl::StatusOr<std::string> Encode(std::string bytes);

 private:
  struct Zstd;
  explicit SpoolEncoder(SqliteDatabase& db);

  SqliteDatabase* db_;
  std::unique_ptr<Zstd> zstd_;
  std::unique_ptr<SqliteStatement> is_kept_;
  std::string dictionary_;  // While it is shorter than it is to be: the first events so far.
};

class SpoolDecoder {
 public:
  explicit SpoolDecoder(SqliteDatabase& db);
  SpoolDecoder(SpoolDecoder&&) noexcept;
  ~SpoolDecoder();

  // The event's bytes; nothing for a row that is damaged or whose dictionary is not there.
  std::optional<std::string> Decode(std::string row);

 private:
  struct Zstd;

  SqliteDatabase* db_;
  std::unique_ptr<Zstd> zstd_;
};

}  // namespace vedette
