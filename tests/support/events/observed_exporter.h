// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/base/mutex.h"
#include "exporters/api/exporter.h"

namespace vedette {

// What happened at an exporter, to wait for. Outlives it. Thread-safe.
class ExporterLog {
 public:
  void Exported() {
    MutexLock lock(&mutex_);
    ++batches_;
  }
  void Answered(const absl::Status& status, size_t events) {
    MutexLock lock(&mutex_);
    if (status.ok()) {
      delivered_ += events;
    } else {
      ++failures_;
      last_failure_ = status;
    }
  }
  bool WaitForBatches(uint64_t count, absl::Duration bound) { return Wait(batches_, count, bound); }
  bool WaitForDelivered(uint64_t count, absl::Duration bound) {
    return Wait(delivered_, count, bound);
  }
  bool WaitForFailures(uint64_t count, absl::Duration bound) {
    return Wait(failures_, count, bound);
  }
  absl::Status last_failure() const {
    MutexLock lock(&mutex_);
    return last_failure_;
  }

 private:
  bool Wait(const uint64_t& counter, uint64_t count, absl::Duration bound) {
    MutexLock lock(&mutex_);
    const auto reached = [&counter, count] { return counter >= count; };
    return mutex_.AwaitWithTimeout(reached, bound);
  }

  mutable Mutex mutex_;
  uint64_t batches_ = 0, delivered_ = 0, failures_ = 0;
  absl::Status last_failure_;
};

// Passes everything to another exporter and notes it. `after_export`, if set, runs in the
// exporter's thread right after a batch was handed over, while it is under way.
class ObservedExporter final : public Exporter {
 public:
  ObservedExporter(std::unique_ptr<Exporter> inner, ExporterLog* log,
                   std::function<void()> after_export = nullptr)
      : inner_(std::move(inner)), log_(log), after_export_(std::move(after_export)) {}

  std::string_view name() const override { return inner_->name(); }
  void Export(std::vector<pb::Event> batch, Done done) override {
    const size_t events = batch.size();
    inner_->Export(std::move(batch),
                   [log = log_, events, done = std::move(done)](absl::Status status) {
                     log->Answered(status, events);
                     done(std::move(status));
                   });
    if (after_export_) {
      after_export_();
    }
    log_->Exported();
  }
  absl::Status Shutdown(Deadline deadline) override { return inner_->Shutdown(deadline); }

 private:
  const std::unique_ptr<Exporter> inner_;
  ExporterLog* const log_;
  const std::function<void()> after_export_;
};

}  // namespace vedette
