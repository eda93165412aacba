// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/sqlite.h"
#include "agent/deliver/spool_codec.h"
#include "exporters/schema/event.pb.h"

namespace vedette {

// Why an event did not reach a sink.
inline constexpr char kDropSpoolFull[] = "spool-full";   // Shed to keep the spool in its bound.
inline constexpr char kDropRejected[] = "rejected";      // The sink can never take it.
inline constexpr char kDropUnreadable[] = "unreadable";  // The row is damaged.
inline constexpr char kDropDamaged[] = "store-damaged";  // Was lost with a damaged database.
inline constexpr char kDropRemoved[] = "sink-removed";   // The sink left the configuration.

// All of them; docs/siem.md says what each means.
inline constexpr const char* kDropReasons[] = {kDropSpoolFull, kDropRejected, kDropUnreadable,
                                               kDropDamaged, kDropRemoved};

// A sink that is no longer configured, and how much waited for it.
struct GivenUpSink {
  std::string sink;
  uint64_t count = 0;
};

struct SpoolOptions {
  std::vector<std::string> sinks;     // Names that stay the same from run to run.
  uint64_t max_bytes = 256ULL << 20;  // On the disk.
  // The event that tells the other sinks what was given up, spooled in the transaction that does.
  std::function<pb::Event(const std::vector<GivenUpSink>&)> tell_given_up = {};
};

// What an event of so many bytes takes in the file: a page holds a whole number of rows.
int64_t SpoolBytesOnDisk(int64_t size);

// The account of one sink since it was first configured; it survives restarts.
// received = delivered + dropped by reason + lag.
struct SinkAccount {
  std::string sink;
  uint64_t received = 0;
  uint64_t delivered = 0;
  std::map<std::string, uint64_t> dropped;
  uint64_t lag() const;  // What waits.
};

// Creates what is not there; needs no transaction.
absl::Status CreateSpoolTables(SqliteDatabase& db);

// One row per sink of the tables, sorted by name. Any connection.
absl::StatusOr<std::vector<SinkAccount>> ReadSpoolAccounts(SqliteDatabase& db);

// The pipeline's end of the spool. Writes inside the caller's own open transaction on the caller's
// connection, so that an event and what led to it are committed together or not at all. Bounded: at
// its limit what is least severe goes, oldest first; an event that nothing less severe can make
// room for is itself refused. Either is counted per sink in the same transaction. Used by the
// pipeline thread; does not wake anybody.
class SpoolWriter {
 public:
  // Creates the tables and makes the sinks those of `options`, in a transaction of its own. A sink
  // that is new starts at the current end; one that is gone is forgotten and holds nothing back,
  // which is logged and told.
  static absl::StatusOr<std::unique_ptr<SpoolWriter>> Open(SqliteDatabase& db,
                                                           const SpoolOptions& options);

  // OK also when the event was refused: that is an account, not a fault.
  absl::Status Append(const pb::Event& event);
  // What the sinks that are gone did not get.
  const std::vector<GivenUpSink>& given_up() const { return given_up_; }

 private:
  SpoolWriter(SqliteDatabase& db, const SpoolOptions& options)
      : db_(db), max_bytes_(options.max_bytes), has_sinks_(!options.sinks.empty()) {}
  absl::Status Prepare();
  absl::Status RegisterSinks(const SpoolOptions& options);
  absl::StatusOr<bool> MakeRoom(int64_t size, int64_t severity);
  absl::Status Shed(int64_t over, int64_t severity);
  absl::Status CountDrop(int64_t sequence);

  SqliteDatabase& db_;
  const uint64_t max_bytes_;
  const bool has_sinks_;
  std::unique_ptr<SpoolEncoder> encoder_;
  std::unique_ptr<SqliteStatement> insert_, receive_, used_;
  std::vector<GivenUpSink> given_up_;
};

struct SpoolRow {
  int64_t sequence = 0;
  bool readable = true;
  pb::Event event;
};

// An exporter thread's end of the spool: one sink, a connection of its own.
class SpoolReader {
 public:
  static absl::StatusOr<std::unique_ptr<SpoolReader>> Open(const std::string& path,
                                                           const std::string& sink);

  // The next rows in order, at least one if there is any. A row that cannot be read comes alone.
  absl::StatusOr<std::vector<SpoolRow>> Read(size_t max_events, size_t max_bytes);

  // The sink is done with `rows`, the first of what Read gave: delivered, or dropped for `reason`.
  // Rows that every sink has passed are deleted.
  absl::Status Pass(const std::vector<SpoolRow>& rows, const std::string& reason);
  absl::Status Pass(const std::vector<SpoolRow>& rows) { return Pass(rows, ""); }

  absl::StatusOr<SinkAccount> Account();

 private:
  SpoolReader(std::unique_ptr<SqliteDatabase> db, std::string sink)
      : db_(std::move(db)), decoder_(*db_), sink_(std::move(sink)) {}
  absl::Status PassInTransaction(const std::vector<SpoolRow>& rows, const std::string& reason);

  std::unique_ptr<SqliteDatabase> db_;
  SpoolDecoder decoder_;
  const std::string sink_;
  int64_t cursor_ = 0;
};

}  // namespace vedette
