// SPDX-License-Identifier: Apache-2.0
// Findings of about 2 KiB of JSON through the spool into a real Apache Kafka: how many per second,
// and how long from the commit to Kafka's acknowledgement. kafka_sys_benchmark [COUNT]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "exporters/kafka/kafka_exporter.h"
#include "tests/support/delivery/delivery_bench.h"
#include "tests/support/kafka/kafka_broker.h"

namespace vedette {
namespace {

constexpr int kLatencyRounds = 1000;
constexpr absl::Duration kBound = absl::Minutes(5);

absl::Status Run(int count, const std::string& dir) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<KafkaBroker> broker, KafkaBroker::Create({}));
  VEDETTE_RETURN_IF_ERROR(broker->CreateTopic("vedette.findings", 3));
  KafkaOptions kafka;
  kafka.brokers = {broker->address()};
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<KafkaExporter> exporter, KafkaExporter::Create(kafka));
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<DeliveryBench> bench,
                           DeliveryBench::Start(std::move(exporter), dir));
  std::vector<absl::Duration> latencies;
  for (int i = 0; i < kLatencyRounds; ++i) {
    const absl::Time start = absl::Now();
    VEDETTE_RETURN_IF_ERROR(bench->Append(1));
    VEDETTE_RETURN_IF_ERROR(bench->WaitUntilDelivered(kBound));
    latencies.push_back(absl::Now() - start);
  }
  std::sort(latencies.begin(), latencies.end());
  fmt::print("one finding, begin of its transaction to Kafka's ack: p50 {:.2f} ms, p99 {:.2f} ms\n",
             absl::ToDoubleMilliseconds(latencies[kLatencyRounds / 2]),
             absl::ToDoubleMilliseconds(latencies[kLatencyRounds * 99 / 100]));

  const absl::Time start = absl::Now();
  VEDETTE_RETURN_IF_ERROR(bench->AppendMany(count));
  const double append_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  VEDETTE_RETURN_IF_ERROR(bench->WaitUntilDelivered(kBound));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  fmt::print("{} findings of 2 KiB: {:.0f}/s into the spool, {:.0f}/s to Kafka's ack\n", count,
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
