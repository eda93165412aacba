// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/delivery.h"

#include <utility>

#include "agent/base/status.h"

namespace vedette {

absl::StatusOr<std::unique_ptr<Delivery>> Delivery::Start(SqliteDatabase& db,
                                                          std::vector<NamedExporter> sinks,
                                                          const DeliveryOptions& options) {
  std::unique_ptr<Delivery> delivery(new Delivery(db));
  SpoolOptions spool;
  spool.max_bytes = options.max_bytes;
  spool.tell_given_up = options.tell_given_up;
  for (const NamedExporter& sink : sinks) {
    spool.sinks.push_back(sink.name);
  }
  VEDETTE_ASSIGN_OR_RETURN(delivery->writer_, SpoolWriter::Open(db, spool));
  for (NamedExporter& sink : sinks) {
    ExporterThreadOptions thread;
    thread.database_path = db.path();
    thread.sink = std::move(sink.name);
    thread.initial_backoff = options.initial_backoff;
    thread.max_backoff = options.max_backoff;
    VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<ExporterThread> started,
                             ExporterThread::Start(std::move(thread), std::move(sink.exporter)));
    delivery->threads_.push_back(std::move(started));
  }
  return delivery;
}

void Delivery::Committed() {
  for (const auto& thread : threads_) {
    thread->Wake();
  }
}

std::vector<SinkStats> Delivery::Stats() const {
  std::vector<SinkStats> stats;
  for (const auto& thread : threads_) {
    stats.push_back(thread->stats());
  }
  return stats;
}

void Delivery::Stop(Deadline deadline) {
  for (const auto& thread : threads_) {
    thread->BeginStop(deadline);
  }
  for (const auto& thread : threads_) {
    thread->Join();
  }
}

}  // namespace vedette
