// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"
#include "agent/base/mutex.h"
#include "agent/deliver/spool.h"
#include "exporters/api/exporter.h"

namespace vedette {

struct ExporterThreadOptions {
  std::string database_path;
  std::string sink;  // As in SpoolOptions::sinks.
  size_t max_batch_events = 1000;
  size_t max_batch_bytes = 1 << 20;  // As messages of protobuf; a sink takes several times that.
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(30);
};

// How a sink does, for people and metrics.
struct SinkStats {
  SinkAccount account;         // As of the last look at the spool.
  uint64_t retries = 0;        // Batches that were Unavailable.
  bool store_damaged = false;  // The spool cannot be read.
  uint64_t store_errors = 0;
  std::string store_trouble;  // One sentence while the spool fails.
  bool available = true;
  std::string trouble;  // One sentence while not available.

  bool ok() const { return available && store_trouble.empty(); }
  const std::string& problem() const { return store_trouble.empty() ? trouble : store_trouble; }
};

// Takes events of one sink from the spool, in order, one batch at a time, and passes the spool's
// row only when the exporter has answered. Unavailable: the same batch again after a pause that
// grows and is jittered. Any other error: the events of that batch go one by one, and those refused
// are dropped and counted. Owns the exporter; its own thread calls it. Touches no state of the
// pipeline.
class ExporterThread {
 public:
  // Opens its own connection to the spool and starts. The sink must be known to the spool.
  static absl::StatusOr<std::unique_ptr<ExporterThread>> Start(ExporterThreadOptions options,
                                                               std::unique_ptr<Exporter> exporter);
  ~ExporterThread();  // Stops at once if Stop was not called.

  // Says that the pipeline has committed. Any thread; never blocks for long.
  void Wake();

  // Asks to deliver what is there and end by `deadline`. What is not delivered stays in the spool.
  void BeginStop(Deadline deadline);
  void Join();

  SinkStats stats() const;

 private:
  ExporterThread(ExporterThreadOptions options, std::unique_ptr<SpoolReader> spool,
                 std::unique_ptr<Exporter> exporter);
  void Run();
  bool Step();  // False: there is nothing more to do until somebody wakes us.
  absl::Status ExportAndWait(const std::vector<SpoolRow>& rows);
  void Pass(const std::vector<SpoolRow>& rows, const std::string& reason);
  void Backoff();
  void RefreshAccount();
  void OnUnavailable(const absl::Status& status);
  void OnDelivered();
  void LogDelays(const std::vector<SpoolRow>& rows, absl::Time taken) const;
  void OnRejected(const absl::Status& status);
  void OnStoreError(const absl::Status& status);
  void NoteStoreError(const absl::Status& status);

  bool HasWork() const { return woken_ || stopping_; }
  bool IsStopping() const { return stopping_; }
  bool IsAnswered() const { return answered_; }
  bool PastDeadline();

  const ExporterThreadOptions options_;
  const std::unique_ptr<SpoolReader> spool_;
  const std::unique_ptr<Exporter> exporter_;
  std::mt19937_64 random_;
  absl::Duration backoff_;
  size_t single_ = 0;  // How many rows are still to be sent one by one.

  mutable Mutex mutex_;
  // Guarded by mutex_.
  bool woken_ = false;
  bool stopping_ = false;
  Deadline deadline_ = Deadline::Never();
  bool answered_ = false;
  absl::Status answer_;
  SinkStats stats_;

  std::thread thread_;
};

}  // namespace vedette
