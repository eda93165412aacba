// SPDX-License-Identifier: Apache-2.0
// Findings of about 2 KiB of JSON through the spool into a real Apache Kafka: how many per second,
// and how long from the commit to Kafka's acknowledgement. kafka_sys_benchmark [COUNT]
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "agent/deliver/delivery.h"
#include "exporters/kafka/kafka_exporter.h"
#include "exporters/schema/encode.h"
#include "tests/support/events/observed_exporter.h"
#include "tests/support/events/sample_events.h"
#include "tests/support/kafka/kafka_broker.h"

namespace vedette {
namespace {

constexpr int kCommitSize = 500;
constexpr int kLatencyRounds = 1000;
constexpr absl::Duration kBound = absl::Minutes(5);

pb::Event FindingOf2KiB(int number) {
  pb::Event event = SampleFindings()[0];
  event.set_uid(fmt::format("f-{}/1", number));
  event.set_key(fmt::format("host/workload-{}", number % 100));
  const size_t size = EncodeJson(event).size();
  constexpr size_t kSize = 2048;
  if (size < kSize) {
    event.mutable_finding()->mutable_sentence()->append(kSize - size, '.');
  }
  return event;
}

absl::Status AppendFrom(int first, int count, SqliteDatabase* db, Delivery* delivery) {
  VEDETTE_RETURN_IF_ERROR(db->Begin());
  for (int i = first; i < first + count; ++i) {
    VEDETTE_RETURN_IF_ERROR(delivery->Append(FindingOf2KiB(i)));
  }
  VEDETTE_RETURN_IF_ERROR(db->Commit());
  delivery->Committed();
  return absl::OkStatus();
}

absl::Status Run(int count, const std::string& dir) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<KafkaBroker> broker, KafkaBroker::Create({}));
  VEDETTE_RETURN_IF_ERROR(broker->CreateTopic("vedette.findings", 3));
  KafkaOptions kafka;
  kafka.brokers = {broker->address()};
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<KafkaExporter> exporter, KafkaExporter::Create(kafka));
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> db,
                           SqliteDatabase::Open(dir + "/vedette.db"));
  ExporterLog log;
  std::vector<NamedExporter> sinks;
  sinks.push_back({"kafka", std::make_unique<ObservedExporter>(std::move(exporter), &log)});
  DeliveryOptions options;
  options.max_bytes = 4ULL << 30;
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<Delivery> delivery,
                           Delivery::Start(*db, std::move(sinks), options));
  uint64_t sent = 0;
  std::vector<absl::Duration> latencies;
  for (int i = 0; i < kLatencyRounds; ++i) {
    const absl::Time start = absl::Now();
    VEDETTE_RETURN_IF_ERROR(AppendFrom(static_cast<int>(sent), 1, db.get(), delivery.get()));
    if (!log.WaitForDelivered(++sent, kBound)) {
      return log.last_failure();
    }
    latencies.push_back(absl::Now() - start);
  }
  std::sort(latencies.begin(), latencies.end());
  fmt::print("one finding, begin of its transaction to Kafka's ack: p50 {:.2f} ms, p99 {:.2f} ms\n",
             absl::ToDoubleMilliseconds(latencies[kLatencyRounds / 2]),
             absl::ToDoubleMilliseconds(latencies[kLatencyRounds * 99 / 100]));

  const absl::Time start = absl::Now();
  for (int first = 0; first < count; first += kCommitSize) {
    VEDETTE_RETURN_IF_ERROR(
        AppendFrom(static_cast<int>(sent) + first, kCommitSize, db.get(), delivery.get()));
  }
  const double append_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (!log.WaitForDelivered(sent + count, kBound)) {
    return log.last_failure();
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  fmt::print("{} findings of 2 KiB: {:.0f}/s into the spool, {:.0f}/s to Kafka's ack\n", count,
             count / append_seconds, count / seconds);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) {
  std::string dir = std::filesystem::temp_directory_path() / "kafka_benchmark.XXXXXX";
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
