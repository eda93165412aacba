// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "agent/base/status.h"
#include "agent/deliver/spool.h"

namespace vedette {
namespace {

// Rows that name other rows come after them. Not here: spool_used, which triggers keep.
struct Table {
  const char* name;
  bool has_rowid;
};
constexpr Table kTables[] = {
    {"profile_meta", false},  {"workload", true},       {"learning", true},
    {"activity", false},      {"behaviour", true},      {"dismissal", true},
    {"finding_meta", false},  {"finding", true},        {"finding_status", false},
    {"spool_sink", true},     {"spool_dropped", false}, {"spool_dictionary", true},
    {"spool", true},          {"cache_boot", true},     {"cache_ring", true},
    {"cache_binding", false}, {"cache_loss", false},    {"dns_name_meta", false},
    {"dns_name", false}};
constexpr int64_t kChunkRows = 64;
constexpr int kMaxUnreadable = 10'000;  // Places in one table that are tried in vain.

uint64_t Count(SqliteDatabase& db, const std::string& sql) {
  auto select = db.Prepare(sql);
  if (!select.ok()) {
    return 0;
  }
  const absl::StatusOr<bool> row = select->Step();
  return row.ok() && *row ? static_cast<uint64_t>(select->Int64(0)) : 0;
}

// The tables of the damaged file, which is attached as `old`.
void CopySchema(SqliteDatabase& fresh) {
  auto select = fresh.Prepare(
      "SELECT sql FROM old.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND "
      "name NOT LIKE 'spool%' ORDER BY type = 'table' DESC");
  if (!select.ok()) {
    return;
  }
  std::vector<std::string> statements;
  for (;;) {
    const absl::StatusOr<bool> row = select->Step();
    if (!row.ok() || !*row) {
      break;
    }
    statements.push_back(select->Bytes(0));
  }
  select->Reset();
  for (const std::string& sql : statements) {
    fresh.Exec(sql).IgnoreError();
  }
}

// One row at a time, so that one that does not fit is left out and the others are not.
absl::Status CopyRow(SqliteStatement& copy, int64_t rowid) { return copy.Bind(1, rowid).Run(); }

// The next row after `rowid`, if there is one that can be read.
absl::StatusOr<bool> Next(SqliteStatement& next, int64_t& rowid) {
  absl::StatusOr<bool> row = next.Bind(1, rowid).Step();
  if (row.ok() && *row) {
    rowid = next.Int64(0);
  }
  next.Reset();
  return row;
}

// Past what cannot be read in ever longer steps: the rows of a page are lost, not those behind it.
void CopyByRowid(SqliteDatabase& fresh, const std::string& name) {
  auto next = fresh.Prepare(fmt::format(
      "SELECT rowid FROM old.{} NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT 1", name));
  auto copy = fresh.Prepare(fmt::format(
      "INSERT OR IGNORE INTO main.{0} SELECT * FROM old.{0} NOT INDEXED WHERE rowid = ?", name));
  if (!next.ok() || !copy.ok()) {
    return;
  }
  int64_t rowid = 0, step = 1;
  for (int unreadable = 0; unreadable < kMaxUnreadable;) {
    const absl::StatusOr<bool> row = Next(*next, rowid);
    if (row.ok() && !*row) {
      return;
    }
    if (row.ok() && CopyRow(*copy, rowid).ok()) {
      step = 1;
      continue;
    }
    ++unreadable;
    if (row.ok()) {
      continue;  // The row itself; the next one may be whole.
    }
    if (rowid > std::numeric_limits<int64_t>::max() - step) {
      return;
    }
    rowid += step;
    step = std::min<int64_t>(step * 2, int64_t{1} << 40);
  }
}

void Copy(SqliteDatabase& fresh, const Table& table) {
  if (table.has_rowid) {
    CopyByRowid(fresh, table.name);
    return;
  }
  // No row has a number here: what is before the damage is read, a chunk at a time.
  int64_t done = 0;
  for (int64_t chunk = kChunkRows; chunk > 0;) {
    const absl::Status copied = fresh.Exec(
        fmt::format("INSERT OR IGNORE INTO main.{0} SELECT * FROM old.{0} LIMIT {1} OFFSET {2}",
                    table.name, chunk, done));
    if (!copied.ok()) {
      chunk /= 2;
      continue;
    }
    done += chunk;
    const std::string rest = fmt::format(
        "SELECT count(*) FROM (SELECT 1 FROM old.{} LIMIT 1 OFFSET {})", table.name, done);
    if (chunk == kChunkRows && Count(fresh, rest) == 0) {
      return;
    }
  }
}

// Sequence numbers go on, or a reader that remembers the last one sees them twice.
void KeepSequence(SqliteDatabase& fresh) {
  fresh
      .Exec(
          "UPDATE sqlite_sequence SET seq = max(seq, COALESCE((SELECT max(cursor) FROM spool_sink),"
          " 0)) WHERE name = 'spool';"
          "INSERT INTO sqlite_sequence(name, seq) SELECT 'spool', COALESCE((SELECT max(cursor) FROM"
          " spool_sink), 0) WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'spool')")
      .IgnoreError();
}

uint64_t CountLost(SqliteDatabase& fresh) {
  const absl::StatusOr<std::vector<SinkAccount>> accounts = ReadSpoolAccounts(fresh);
  uint64_t lost = 0;
  if (!accounts.ok()) {
    return lost;
  }
  for (const SinkAccount& account : *accounts) {
    auto left = fresh.Prepare(
        "SELECT count(*) FROM spool WHERE sequence > (SELECT cursor FROM spool_sink WHERE sink = "
        "?)");
    auto count = fresh.Prepare(
        "INSERT INTO spool_dropped VALUES(?, ?, ?) ON CONFLICT(sink, reason) DO UPDATE SET "
        "count = count + excluded.count");
    if (!left.ok() || !count.ok() || !left->BindText(1, account.sink).Step().value_or(false)) {
      continue;
    }
    const auto there = static_cast<uint64_t>(left->Int64(0));
    if (account.lag() > there) {
      const uint64_t missing = account.lag() - there;
      count->BindText(1, account.sink).BindText(2, kDropDamaged);
      count->Bind(3, static_cast<int64_t>(missing)).Run().IgnoreError();
      lost += missing;
    }
  }
  return lost;
}

}  // namespace

SalvageCounts Salvage(const std::string& path, SqliteDatabase& fresh) {
  SalvageCounts counts;
  auto attach = fresh.Prepare("ATTACH DATABASE ? AS old");
  if (!CreateSpoolTables(fresh).ok() || !attach.ok() || !attach->BindText(1, path).Run().ok()) {
    return counts;
  }
  CopySchema(fresh);
  // Not in a transaction: in one, SQLite takes no further writes once it met damage.
  fresh.Exec("PRAGMA synchronous=OFF").IgnoreError();
  for (const Table& table : kTables) {
    Copy(fresh, table);
  }
  KeepSequence(fresh);
  counts.waiting_lost = CountLost(fresh);
  fresh.Exec("PRAGMA synchronous=FULL").IgnoreError();
  fresh.Exec("DETACH DATABASE old").IgnoreError();
  fresh.WriteBack().IgnoreError();  // What it wrote without waiting is on the disk now.
  counts.workloads = Count(fresh, "SELECT count(*) FROM workload");
  counts.behaviours = Count(fresh, "SELECT count(*) FROM behaviour");
  counts.findings = Count(fresh, "SELECT count(*) FROM finding");
  counts.waiting = Count(fresh, "SELECT count(*) FROM spool");
  return counts;
}

std::string SalvageText(const SalvageCounts& counts) {
  return fmt::format(
      "{} workloads with {} behaviours, {} findings and {} records that wait for sinks could be "
      "read and are kept, {} that waited are known to be lost",
      counts.workloads, counts.behaviours, counts.findings, counts.waiting, counts.waiting_lost);
}

}  // namespace vedette
