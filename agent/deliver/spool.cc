// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/spool.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/base/status.h"

namespace vedette {
namespace {

// The ledger outranks every finding, because it is what names the losses.
constexpr int64_t kLedgerRank = 6;
constexpr int64_t kRowOverheadBytes = 64;
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kPagePayloadBytes = 4061;  // The largest row that is kept in one page.

constexpr char kTables[] = R"sql(
CREATE TABLE IF NOT EXISTS spool(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  severity INTEGER NOT NULL,
  size INTEGER NOT NULL,
  event BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS spool_by_severity ON spool(severity);
CREATE TABLE IF NOT EXISTS spool_used(severity INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
INSERT OR IGNORE INTO spool_used VALUES(0,0),(1,0),(2,0),(3,0),(4,0),(5,0),(6,0);
CREATE TRIGGER IF NOT EXISTS spool_added AFTER INSERT ON spool BEGIN
  UPDATE spool_used SET bytes = bytes + NEW.size WHERE severity = NEW.severity;
END;
CREATE TRIGGER IF NOT EXISTS spool_removed AFTER DELETE ON spool BEGIN
  UPDATE spool_used SET bytes = bytes - OLD.size WHERE severity = OLD.severity;
END;
CREATE TABLE IF NOT EXISTS spool_sink(
  sink TEXT PRIMARY KEY,
  cursor INTEGER NOT NULL,
  received INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS spool_dropped(
  sink TEXT NOT NULL REFERENCES spool_sink(sink) ON DELETE CASCADE,
  reason TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY(sink, reason)) WITHOUT ROWID;
)sql";

constexpr char kDeletePassed[] =
    "DELETE FROM spool WHERE sequence <= "
    "COALESCE((SELECT min(cursor) FROM spool_sink), 9223372036854775807)";

int64_t RankOf(const pb::Event& event) {
  if (event.has_ledger()) {
    return kLedgerRank;
  }
  return std::clamp<int64_t>(event.finding().severity(), 0, kLedgerRank - 1);
}

absl::Status InTransaction(SqliteDatabase& db, auto body) {
  VEDETTE_RETURN_IF_ERROR(db.Begin());
  absl::Status status = body();
  if (status.ok()) {
    status = db.Commit();
  }
  if (!status.ok()) {
    db.Rollback();
  }
  return status;
}

absl::Status SetConfigured(SqliteDatabase& db, const std::vector<std::string>& sinks) {
  VEDETTE_RETURN_IF_ERROR(
      db.Exec("CREATE TEMP TABLE IF NOT EXISTS configured(sink TEXT PRIMARY KEY);"
              "DELETE FROM configured"));
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement insert,
                           db.Prepare("INSERT OR IGNORE INTO configured VALUES(?)"));
  for (const std::string& sink : sinks) {
    VEDETTE_RETURN_IF_ERROR(insert.BindText(1, sink).Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<GivenUpSink>> FindGivenUp(SqliteDatabase& db,
                                                     const std::vector<std::string>& sinks) {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<SinkAccount> accounts, ReadSpoolAccounts(db));
  std::vector<GivenUpSink> given_up;
  for (const SinkAccount& account : accounts) {
    const bool stays = std::find(sinks.begin(), sinks.end(), account.sink) != sinks.end();
    if (!stays && account.lag() > 0) {
      given_up.push_back({account.sink, account.lag()});
    }
  }
  return given_up;
}

absl::StatusOr<std::unique_ptr<SqliteStatement>> PrepareOwned(SqliteDatabase& db,
                                                              const std::string& sql) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement statement, db.Prepare(sql));
  return std::make_unique<SqliteStatement>(std::move(statement));
}

}  // namespace

uint64_t SinkAccount::lag() const {
  uint64_t gone = delivered;
  for (const auto& [reason, count] : dropped) {
    gone += count;
  }
  return received > gone ? received - gone : 0;
}

absl::Status CreateSpoolTables(SqliteDatabase& db) {
  return db.Exec(std::string(kTables) + kSpoolDictionaryTables);
}

absl::StatusOr<std::vector<SinkAccount>> ReadSpoolAccounts(SqliteDatabase& db) {
  // One statement, so that what it reads is of one moment.
  VEDETTE_ASSIGN_OR_RETURN(
      SqliteStatement select,
      db.Prepare("SELECT s.sink, received, delivered, COALESCE(reason, ''), COALESCE(count, 0) "
                 "FROM spool_sink s LEFT JOIN spool_dropped d ON d.sink = s.sink "
                 "ORDER BY s.sink, reason"));
  std::vector<SinkAccount> accounts;
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(bool row, select.Step());
    if (!row) {
      return accounts;
    }
    if (accounts.empty() || accounts.back().sink != select.Bytes(0)) {
      accounts.push_back({select.Bytes(0),
                          static_cast<uint64_t>(select.Int64(1)),
                          static_cast<uint64_t>(select.Int64(2)),
                          {}});
    }
    if (select.Int64(4) > 0) {
      accounts.back().dropped[select.Bytes(3)] = static_cast<uint64_t>(select.Int64(4));
    }
  }
}

int64_t SpoolBytesOnDisk(int64_t size) {
  const int64_t row = size + kRowOverheadBytes;
  if (row > kPagePayloadBytes) {
    // The rest of a long row is in pages of its own; what is kept of it in its first is not shared.
    return (row / kPageBytes + 1) * kPageBytes;
  }
  return std::max(row, kPageBytes / (kPageBytes / row));
}

absl::StatusOr<std::unique_ptr<SpoolWriter>> SpoolWriter::Open(SqliteDatabase& db,
                                                               const SpoolOptions& options) {
  VEDETTE_RETURN_IF_ERROR(CreateSpoolTables(db));
  std::unique_ptr<SpoolWriter> writer(new SpoolWriter(db, options));
  VEDETTE_RETURN_IF_ERROR(writer->Prepare());
  VEDETTE_RETURN_IF_ERROR(
      InTransaction(db, [&writer, &options] { return writer->RegisterSinks(options); }));
  for (const GivenUpSink& gone : writer->given_up_) {
    spdlog::warn("sink {} is no longer configured: {} records that waited for it are given up",
                 gone.sink, gone.count);
  }
  return writer;
}

absl::Status SpoolWriter::Prepare() {
  VEDETTE_ASSIGN_OR_RETURN(SpoolEncoder encoder, SpoolEncoder::Open(db_));
  encoder_ = std::make_unique<SpoolEncoder>(std::move(encoder));
  VEDETTE_ASSIGN_OR_RETURN(
      insert_, PrepareOwned(db_, "INSERT INTO spool(severity, size, event) VALUES(?, ?, ?)"));
  VEDETTE_ASSIGN_OR_RETURN(receive_,
                           PrepareOwned(db_, "UPDATE spool_sink SET received = received + 1"));
  VEDETTE_ASSIGN_OR_RETURN(
      used_, PrepareOwned(db_,
                          "SELECT sum(bytes), sum(CASE WHEN severity < ? THEN bytes ELSE 0 END) "
                          "FROM spool_used"));
  return absl::OkStatus();
}

absl::Status SpoolWriter::RegisterSinks(const SpoolOptions& options) {
  VEDETTE_RETURN_IF_ERROR(SetConfigured(db_, options.sinks));
  VEDETTE_ASSIGN_OR_RETURN(given_up_, FindGivenUp(db_, options.sinks));
  VEDETTE_RETURN_IF_ERROR(
      db_.Exec("DELETE FROM spool_sink WHERE sink NOT IN (SELECT sink FROM configured);"
               "INSERT OR IGNORE INTO spool_sink(sink, cursor) SELECT sink, COALESCE("
               "(SELECT seq FROM sqlite_sequence WHERE name = 'spool'), 0) FROM configured"));
  VEDETTE_RETURN_IF_ERROR(db_.Exec(kDeletePassed));
  if (given_up_.empty() || !options.tell_given_up) {
    return absl::OkStatus();
  }
  return Append(options.tell_given_up(given_up_));
}

absl::Status SpoolWriter::Append(const pb::Event& event) {
  if (!has_sinks_) {
    return absl::OkStatus();
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string row, encoder_->Encode(event.SerializeAsString()));
  const int64_t size = SpoolBytesOnDisk(static_cast<int64_t>(row.size()));
  const int64_t severity = RankOf(event);
  VEDETTE_RETURN_IF_ERROR(receive_->Run());
  VEDETTE_ASSIGN_OR_RETURN(const bool room, MakeRoom(size, severity));
  if (!room) {
    return CountDrop(INT64_MAX);
  }
  return insert_->Bind(1, severity).Bind(2, size).BindBlob(3, row).Run();
}

absl::StatusOr<bool> SpoolWriter::MakeRoom(int64_t size, int64_t severity) {
  VEDETTE_ASSIGN_OR_RETURN(const bool row, used_->Bind(1, severity).Step());
  const int64_t used = row ? used_->Int64(0) : 0;
  const int64_t less_severe = row ? used_->Int64(1) : 0;
  used_->Reset();
  const int64_t over = used + size - static_cast<int64_t>(max_bytes_);
  if (over <= 0) {
    return true;
  }
  if (over > less_severe) {
    return false;
  }
  VEDETTE_RETURN_IF_ERROR(Shed(over, severity));
  return true;
}

absl::Status SpoolWriter::Shed(int64_t over, int64_t severity) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement victim,
                           db_.Prepare("SELECT sequence, size FROM spool WHERE severity < ? "
                                       "ORDER BY severity, sequence LIMIT 1"));
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement remove,
                           db_.Prepare("DELETE FROM spool WHERE sequence = ?"));
  while (over > 0) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, victim.Bind(1, severity).Step());
    if (!row) {
      return absl::InternalError(
          fmt::format("{}: the spool's account of its size is wrong", db_.path()));
    }
    const int64_t sequence = victim.Int64(0);
    over -= victim.Int64(1);
    victim.Reset();
    VEDETTE_RETURN_IF_ERROR(CountDrop(sequence));
    VEDETTE_RETURN_IF_ERROR(remove.Bind(1, sequence).Run());
  }
  return absl::OkStatus();
}

// Counts for the sinks that have not passed the row yet; the others got it.
absl::Status SpoolWriter::CountDrop(int64_t sequence) {
  VEDETTE_ASSIGN_OR_RETURN(
      SqliteStatement count,
      db_.Prepare("INSERT INTO spool_dropped SELECT sink, ?, 1 FROM spool_sink WHERE cursor < ? "
                  "ON CONFLICT(sink, reason) DO UPDATE SET count = count + 1"));
  return count.BindText(1, kDropSpoolFull).Bind(2, sequence).Run();
}

absl::StatusOr<std::unique_ptr<SpoolReader>> SpoolReader::Open(const std::string& path,
                                                               const std::string& sink) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> db, SqliteDatabase::Open(path));
  // A cursor that a loss of power takes back leads to duplicates only, which share their uid.
  VEDETTE_RETURN_IF_ERROR(db->Exec("PRAGMA synchronous=NORMAL"));
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement select,
                           db->Prepare("SELECT cursor FROM spool_sink WHERE sink = ?"));
  VEDETTE_ASSIGN_OR_RETURN(const bool row, select.BindText(1, sink).Step());
  if (!row) {
    return absl::NotFoundError(fmt::format("{}: the spool has no sink \"{}\"", path, sink));
  }
  const int64_t cursor = select.Int64(0);
  std::unique_ptr<SpoolReader> reader(new SpoolReader(std::move(db), sink));
  reader->cursor_ = cursor;
  return reader;
}

absl::StatusOr<std::vector<SpoolRow>> SpoolReader::Read(size_t max_events, size_t max_bytes) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement select,
                           db_->Prepare("SELECT sequence, event FROM spool WHERE sequence > ? "
                                        "ORDER BY sequence LIMIT ?"));
  select.Bind(1, cursor_).Bind(2, static_cast<int64_t>(max_events));
  std::vector<SpoolRow> rows;
  size_t bytes = 0;
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found || bytes >= max_bytes) {
      return rows;
    }
    SpoolRow row;
    row.sequence = select.Int64(0);
    const std::optional<std::string> event = decoder_.Decode(select.Bytes(1));
    bytes += event ? event->size() : 0;
    row.readable = event && row.event.ParseFromString(*event);
    row.event.set_sequence(static_cast<uint64_t>(row.sequence));
    if (!row.readable && !rows.empty()) {
      return rows;
    }
    rows.push_back(std::move(row));
    if (!rows.back().readable) {
      return rows;
    }
  }
}

absl::Status SpoolReader::Pass(const std::vector<SpoolRow>& rows, const std::string& reason) {
  if (rows.empty()) {
    return absl::OkStatus();
  }
  VEDETTE_RETURN_IF_ERROR(
      InTransaction(*db_, [this, &rows, &reason] { return PassInTransaction(rows, reason); }));
  cursor_ = rows.back().sequence;
  return absl::OkStatus();
}

absl::Status SpoolReader::PassInTransaction(const std::vector<SpoolRow>& rows,
                                            const std::string& reason) {
  const int64_t last = rows.back().sequence;
  const auto count = static_cast<int64_t>(rows.size());
  VEDETTE_ASSIGN_OR_RETURN(
      SqliteStatement left,
      db_->Prepare("SELECT count(*) FROM spool WHERE sequence >= ? AND sequence <= ?"));
  VEDETTE_ASSIGN_OR_RETURN(const bool row,
                           left.Bind(1, rows.front().sequence).Bind(2, last).Step());
  const int64_t shed_meanwhile = count - (row ? left.Int64(0) : 0);
  left.Reset();
  VEDETTE_ASSIGN_OR_RETURN(
      SqliteStatement move,
      db_->Prepare("UPDATE spool_sink SET cursor = ?, delivered = delivered + ? WHERE sink = ?"));
  VEDETTE_RETURN_IF_ERROR(
      move.Bind(1, last).Bind(2, reason.empty() ? count : 0).BindText(3, sink_).Run());
  // A row that was shed while it was under way counted as lost; now we know better.
  const std::pair<std::string, int64_t> corrections[] = {{reason, reason.empty() ? 0 : count},
                                                         {kDropSpoolFull, -shed_meanwhile}};
  for (const auto& [why, change] : corrections) {
    if (change != 0) {
      VEDETTE_ASSIGN_OR_RETURN(
          SqliteStatement drop,
          db_->Prepare("INSERT INTO spool_dropped VALUES(?, ?, ?) "
                       "ON CONFLICT(sink, reason) DO UPDATE SET count = count + excluded.count"));
      VEDETTE_RETURN_IF_ERROR(drop.BindText(1, sink_).BindText(2, why).Bind(3, change).Run());
    }
  }
  return db_->Exec(kDeletePassed);
}

absl::StatusOr<SinkAccount> SpoolReader::Account() {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<SinkAccount> accounts, ReadSpoolAccounts(*db_));
  for (SinkAccount& account : accounts) {
    if (account.sink == sink_) {
      return std::move(account);
    }
  }
  return absl::NotFoundError(fmt::format("{}: the spool lost its sink \"{}\"", db_->path(), sink_));
}

}  // namespace vedette
