// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_name_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS dns_name(
  workload BLOB NOT NULL, address BLOB NOT NULL, name BLOB NOT NULL, expires_ns INTEGER NOT NULL,
  PRIMARY KEY(workload, address)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dns_name_meta(
  key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
)";

constexpr const char* kSaves[] = {
    "UPDATE dns_name SET name = ?3, expires_ns = ?4 WHERE workload = ?1 AND address = ?2",
    "INSERT INTO dns_name VALUES(?1, ?2, ?3, ?4)",
    "DELETE FROM dns_name WHERE workload = ?1 AND address = ?2",
    "INSERT OR REPLACE INTO dns_name_meta VALUES('watched_until_ns', ?1)",
};
enum Statement { kUpdate, kInsert, kRemove, kWatched };

std::string_view BytesOf(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<DnsNameStore>> DnsNameStore::Open(SqliteDatabase* db,
                                                                 size_t max_rows) {
  VEDETTE_RETURN_IF_ERROR(db->Exec(kSchema));
  std::vector<SqliteStatement> statements;
  for (const char* sql : kSaves) {
    VEDETTE_ASSIGN_OR_RETURN(auto statement, db->Prepare(sql));
    statements.push_back(std::move(statement));
  }
  return std::unique_ptr<DnsNameStore>(new DnsNameStore(db, max_rows, std::move(statements)));
}

absl::StatusOr<absl::Time> DnsNameStore::WatchedUntil() {
  VEDETTE_ASSIGN_OR_RETURN(
      auto meta, db_->Prepare("SELECT value FROM dns_name_meta WHERE key = 'watched_until_ns'"));
  VEDETTE_ASSIGN_OR_RETURN(const bool there, meta.Step());
  return there ? absl::FromUnixNanos(meta.Int64(0)) : absl::InfinitePast();
}

absl::Status DnsNameStore::Load(DnsNames& names, absl::Time now, absl::Duration grace) {
  VEDETTE_ASSIGN_OR_RETURN(const absl::Time watched_until, WatchedUntil());
  // A clock that was set back must not make names last.
  const bool held_on = watched_until <= now && now - watched_until <= kMaxUnwatched;
  VEDETTE_ASSIGN_OR_RETURN(
      auto remove, db_->Prepare("DELETE FROM dns_name WHERE expires_ns < ?1 OR expires_ns > ?2"));
  VEDETTE_RETURN_IF_ERROR(remove.Bind(1, absl::ToUnixNanos(held_on ? watched_until : now))
                              .Bind(2, absl::ToUnixNanos(now + kMaxUnwatched))
                              .Run());
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows,
      db_->Prepare("SELECT workload, address, name, expires_ns FROM dns_name ORDER BY expires_ns"));
  for (rows_ = 0;; ++rows_) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    const std::string address = rows.Bytes(1);
    DnsName name{rows.Bytes(0), {}, rows.Bytes(2), absl::InfinitePast()};
    if (address.size() != name.address.bytes.size() || name.name.empty()) {
      return absl::DataLossError(
          fmt::format("{}: table dns_name holds a row that cannot be: the file is damaged; move it "
                      "away to learn anew",
                      db_->path()));
    }
    std::copy(address.begin(), address.end(), name.address.bytes.begin());
    const absl::Time stored = absl::FromUnixNanos(rows.Int64(3));
    name.expires = std::max(stored, now + grace);
    names.Restore(name, stored);
  }
}

absl::Status DnsNameStore::Write(const DnsNames& names, absl::Time now) {
  rows_written_ = rows_;
  absl::Status status;
  names.VisitChanges([&](const DnsName& name, bool is_gone) {
    if (status.ok()) {
      status = Save(name, is_gone);
    }
  });
  VEDETTE_RETURN_IF_ERROR(status);
  return statements_[kWatched].Bind(1, absl::ToUnixNanos(now)).Run();
}

absl::Status DnsNameStore::Save(const DnsName& name, bool is_gone) {
  auto run = [&](Statement which) -> absl::StatusOr<bool> {
    SqliteStatement& statement = statements_[which];
    statement.BindBlob(1, name.workload).BindBlob(2, BytesOf(name.address));
    if (which != kRemove) {
      statement.BindBlob(3, name.name).Bind(4, absl::ToUnixNanos(name.expires));
    }
    VEDETTE_RETURN_IF_ERROR(statement.Run());
    return db_->Changes() > 0;
  };
  if (is_gone) {
    VEDETTE_ASSIGN_OR_RETURN(const bool removed, run(kRemove));
    rows_written_ -= removed ? 1 : 0;
    return absl::OkStatus();
  }
  VEDETTE_ASSIGN_OR_RETURN(const bool updated, run(kUpdate));
  if (updated) {
    return absl::OkStatus();
  }
  if (rows_written_ >= max_rows_) {
    reasons_.Count("store_full", "too many names of peers, a new one does not outlive the agent");
    return absl::OkStatus();
  }
  ++rows_written_;
  return run(kInsert).status();
}

}  // namespace vedette
