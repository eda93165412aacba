// SPDX-License-Identifier: Apache-2.0
// Findings of about 2 KiB through the spool into a JSON Lines file, per second. spool_benchmark
// [COUNT]
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "agent/deliver/delivery.h"
#include "exporters/jsonl/jsonl_exporter.h"
#include "exporters/schema/encode.h"
#include "tests/support/events/observed_exporter.h"
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

constexpr int kCommitSize = 500;
constexpr size_t kFindingSize = 2048;
constexpr absl::Duration kBound = absl::Minutes(5);

absl::Status Run(int count, const std::string& dir) {
  pb::Event event = SampleFindings()[0];
  const size_t size = EncodeJson(event).size();
  event.mutable_finding()->mutable_sentence()->append(size < kFindingSize ? kFindingSize - size : 0,
                                                      '.');
  absl::Time start = absl::Now();
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) {
    bytes += EncodeJson(event).size();
  }
  fmt::print("encode: {:.1f} us each, {} bytes\n",
             absl::ToDoubleMicroseconds(absl::Now() - start) / count, bytes / count);

  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> db,
                           SqliteDatabase::Open(dir + "/vedette.db"));
  ExporterLog log;
  std::vector<NamedExporter> sinks;
  sinks.push_back(
      {"jsonl", std::make_unique<ObservedExporter>(
                    std::make_unique<JsonlExporter>(JsonlOptions{dir + "/f.jsonl"}), &log)});
  DeliveryOptions options;
  options.max_bytes = 4ULL << 30;
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<Delivery> delivery,
                           Delivery::Start(*db, std::move(sinks), options));
  start = absl::Now();
  for (int first = 0; first < count; first += kCommitSize) {
    VEDETTE_RETURN_IF_ERROR(db->Begin());
    for (int i = 0; i < kCommitSize; ++i) {
      event.set_uid(fmt::format("f-{}/1", first + i));
      VEDETTE_RETURN_IF_ERROR(delivery->Append(event));
    }
    VEDETTE_RETURN_IF_ERROR(db->Commit());
    delivery->Committed();
  }
  const double append_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (!log.WaitForDelivered(count, kBound)) {
    return log.last_failure();
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  fmt::print("{} findings: {:.0f}/s into the spool, {:.0f}/s to the file\n", count,
             count / append_seconds, count / seconds);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) {
  std::string dir = std::filesystem::temp_directory_path() / "spool_benchmark.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) {
    std::perror(dir.c_str());
    return 3;
  }
  const absl::Status status = vedette::Run(argc > 1 ? std::atoi(argv[1]) : 100000, dir);
  std::filesystem::remove_all(dir);
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", std::string(status.message()));
    return 3;
  }
}
