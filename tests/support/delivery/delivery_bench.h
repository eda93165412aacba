// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/deliver/delivery.h"
#include "exporters/api/exporter.h"
#include "tests/support/events/observed_exporter.h"

namespace vedette {

// A finding whose JSON is of some 2 KiB, and in which ids, times, hashes, the program and its
// arguments are its own; a hundred workloads take turns.
pb::Event FindingOf2KiB(int64_t number);

// A spool of the default size in `dir` with one sink, for benchmarks of the way from a commit to
// the far side's answer. One thread.
class DeliveryBench {
 public:
  static absl::StatusOr<std::unique_ptr<DeliveryBench>> Start(std::unique_ptr<Exporter> exporter,
                                                              const std::string& dir);

  // The next `count` findings in one transaction.
  absl::Status Append(int count);
  // The next `count` findings in transactions of 500.
  absl::Status AppendMany(int count);
  // Until everything that was appended is delivered.
  absl::Status WaitUntilDelivered(absl::Duration bound);

  int64_t appended() const { return appended_; }
  Delivery& delivery() { return *delivery_; }

 private:
  DeliveryBench() = default;

  int64_t appended_ = 0;
  ExporterLog log_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Delivery> delivery_;
};

// Runs a benchmark in a directory of its own; the exit code, after one sentence about what failed.
int RunInTempDir(const std::function<absl::Status(const std::string& dir)>& run);

}  // namespace vedette
