// SPDX-License-Identifier: Apache-2.0
// Findings of about 2 KiB through the spool into a JSON Lines file, per second. spool_benchmark
// [COUNT]
#include <fmt/format.h>

#include <cstdlib>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "exporters/jsonl/jsonl_exporter.h"
#include "exporters/schema/encode.h"
#include "tests/support/delivery/delivery_bench.h"

namespace vedette {
namespace {

constexpr absl::Duration kBound = absl::Minutes(5);

absl::Status Run(int count, const std::string& dir) {
  const pb::Event event = FindingOf2KiB(0);
  absl::Time start = absl::Now();
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) {
    bytes += EncodeJson(event).size();
  }
  fmt::print("encode: {:.1f} us each, {} bytes\n",
             absl::ToDoubleMicroseconds(absl::Now() - start) / count, bytes / count);

  VEDETTE_ASSIGN_OR_RETURN(
      const std::unique_ptr<DeliveryBench> bench,
      DeliveryBench::Start(std::make_unique<JsonlExporter>(JsonlOptions{dir + "/f.jsonl"}), dir));
  start = absl::Now();
  VEDETTE_RETURN_IF_ERROR(bench->AppendMany(count));
  const double append_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  VEDETTE_RETURN_IF_ERROR(bench->WaitUntilDelivered(kBound));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  fmt::print("{} findings: {:.0f}/s into the spool, {:.0f}/s to the file\n", count,
             count / append_seconds, count / seconds);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100000;
  return vedette::RunInTempDir(
      [count](const std::string& dir) { return vedette::Run(count, dir); });
}
