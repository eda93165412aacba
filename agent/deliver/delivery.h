// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"
#include "agent/deliver/exporter_thread.h"
#include "agent/deliver/spool.h"
#include "exporters/api/exporter.h"

namespace vedette {

struct NamedExporter {
  std::string name;  // Unique, and the same from run to run: "jsonl", "kafka:vedette.findings"
  std::unique_ptr<Exporter> exporter;
};

struct DeliveryOptions {
  uint64_t max_bytes = 256ULL << 20;
  std::function<pb::Event(const std::vector<GivenUpSink>&)> tell_given_up = {};
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(30);
};

// The stage between the pipeline and the exporters: the spool, and one thread per sink. All but
// Stats belong to the pipeline thread.
class Delivery {
 public:
  // `db` is the pipeline's connection; each exporter thread opens the same file for itself.
  static absl::StatusOr<std::unique_ptr<Delivery>> Start(SqliteDatabase& db,
                                                         std::vector<NamedExporter> sinks,
                                                         const DeliveryOptions& options);

  // Within the caller's open transaction.
  absl::Status Append(const pb::Event& event) { return writer_->Append(event); }
  // After the caller's commit: wakes the exporter threads.
  void Committed();
  // Exact, from the store; for the ledger.
  absl::StatusOr<std::vector<SinkAccount>> Accounts() { return ReadSpoolAccounts(db_); }

  const std::vector<GivenUpSink>& given_up() const { return writer_->given_up(); }

  // Any thread.
  std::vector<SinkStats> Stats() const;

  // Delivers what it can until `deadline`; the rest stays in the spool.
  void Stop(Deadline deadline);

 private:
  explicit Delivery(SqliteDatabase& db) : db_(db) {}

  SqliteDatabase& db_;
  std::unique_ptr<SpoolWriter> writer_;
  std::vector<std::unique_ptr<ExporterThread>> threads_;
};

}  // namespace vedette
