// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/sqlite.h"
#include "agent/enrich/dns_names.h"
#include "agent/enrich/reasons.h"

namespace vedette {

// The longest absence of an agent after which names that it knew still hold.
inline constexpr absl::Duration kMaxUnwatched = absl::Hours(24);

// The names of peers as rows: table dns_name. Pipeline thread. Opens no transaction: the caller
// does, and says when it is committed. What finds no room in the store is lost by a restart, and is
// counted.
class DnsNameStore {
 public:
  static constexpr size_t kMaxRows = 65536;

  // Makes the tables where they are not there.
  static absl::StatusOr<std::unique_ptr<DnsNameStore>> Open(SqliteDatabase* db,
                                                            size_t max_rows = kMaxRows);

  // Names that held when an agent last watched hold for `grace` from now at least, as answers that
  // came in between were not seen. Those that did not are removed. DataLoss: the file is damaged,
  // or holds what this agent never wrote.
  absl::Status Load(DnsNames& names, absl::Time now, absl::Duration grace);

  // What changed, and that names were watched until `now`.
  absl::Status Write(const DnsNames& names, absl::Time now);
  void Committed() { rows_ = rows_written_; }

  const Reasons& reasons() const { return reasons_; }

 private:
  DnsNameStore(SqliteDatabase* db, size_t max_rows, std::vector<SqliteStatement> statements)
      : db_(db), max_rows_(max_rows), statements_(std::move(statements)), reasons_("dns store") {}
  absl::StatusOr<absl::Time> WatchedUntil();
  absl::Status Save(const DnsName& name, bool is_gone);

  SqliteDatabase* const db_;
  const size_t max_rows_;
  std::vector<SqliteStatement> statements_;  // In the order of kSaves.
  size_t rows_ = 0;
  size_t rows_written_ = 0;  // In a transaction that is not committed yet.
  Reasons reasons_;
};

}  // namespace vedette
