// SPDX-License-Identifier: Apache-2.0
#include "tests/support/delivery/delivery_bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "agent/base/status.h"
#include "exporters/schema/encode.h"
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

constexpr int kCommitSize = 500;
constexpr int kWorkloads = 100;
constexpr size_t kFindingSize = 2048;
constexpr int kExitFailed = 3;

}  // namespace

pb::Event FindingOf2KiB(int64_t number) {
  // Made once, so that a benchmark measures the spool and not this.
  static const pb::Event kPadded = [] {
    pb::Event padded = SampleFindings()[0];
    const size_t size = EncodeJson(padded).size();
    padded.mutable_finding()->mutable_sentence()->append(
        size < kFindingSize ? kFindingSize - size : 0, '.');
    return padded;
  }();
  pb::Event event = kPadded;
  event.set_uid(fmt::format("f-{}/1", number));
  event.set_key(fmt::format("host/workload-{}", number % kWorkloads));
  return event;
}

absl::StatusOr<std::unique_ptr<DeliveryBench>> DeliveryBench::Start(
    std::unique_ptr<Exporter> exporter, const std::string& dir) {
  std::unique_ptr<DeliveryBench> bench(new DeliveryBench());
  VEDETTE_ASSIGN_OR_RETURN(bench->db_, SqliteDatabase::Open(dir + "/vedette.db"));
  const std::string name(exporter->name());
  std::vector<NamedExporter> sinks;
  sinks.push_back({name, std::make_unique<ObservedExporter>(std::move(exporter), &bench->log_)});
  DeliveryOptions options;
  options.max_bytes = 4ULL << 30;
  VEDETTE_ASSIGN_OR_RETURN(bench->delivery_,
                           Delivery::Start(*bench->db_, std::move(sinks), options));
  return bench;
}

absl::Status DeliveryBench::Append(int count) {
  VEDETTE_RETURN_IF_ERROR(db_->Begin());
  for (int i = 0; i < count; ++i) {
    VEDETTE_RETURN_IF_ERROR(delivery_->Append(FindingOf2KiB(appended_ + i)));
  }
  VEDETTE_RETURN_IF_ERROR(db_->Commit());
  appended_ += count;
  delivery_->Committed();
  return absl::OkStatus();
}

absl::Status DeliveryBench::AppendMany(int count) {
  for (int left = count; left > 0; left -= kCommitSize) {
    VEDETTE_RETURN_IF_ERROR(Append(std::min(left, kCommitSize)));
  }
  return absl::OkStatus();
}

absl::Status DeliveryBench::WaitUntilDelivered(absl::Duration bound) {
  if (log_.WaitForDelivered(static_cast<uint64_t>(appended_), bound)) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      fmt::format("not all {} findings were delivered in {}; the last failure: {}", appended_,
                  absl::FormatDuration(bound), Message(log_.last_failure())));
}

int RunInTempDir(const std::function<absl::Status(const std::string& dir)>& run) {
  std::string dir = std::filesystem::temp_directory_path() / "vedette_benchmark.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) {
    std::perror(dir.c_str());
    return kExitFailed;
  }
  const absl::Status status = run(dir);
  std::filesystem::remove_all(dir);
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", Message(status));
    return kExitFailed;
  }
  return 0;
}

}  // namespace vedette
