// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "exporters/api/exporter.h"
#include "exporters/kafka/kafka_options.h"
#include "exporters/kafka/kafka_producer.h"

namespace vedette {

// Sends findings and ledger records to Kafka: idempotent, acknowledged by all replicas, keyed by
// the event's key, so that those of one workload keep their order. An answer to a batch that had to
// be sent again may leave duplicates, which share their uid. What the far side does not take now
// (away, no such topic, not allowed) is Unavailable after a bound; only what it can never take, a
// record that is too large, is refused. Owned by its exporter thread; does not retry by itself.
class KafkaExporter final : public Exporter {
 public:
  // Needs no broker. InvalidArgument: one sentence that names the option at fault.
  static absl::StatusOr<std::unique_ptr<KafkaExporter>> Create(KafkaOptions options);

  std::string_view name() const override { return "kafka"; }
  void Export(std::vector<pb::Event> batch, Done done) override;
  absl::Status Shutdown(Deadline deadline) override;

 private:
  explicit KafkaExporter(KafkaOptions options) : options_(std::move(options)) {}

  const KafkaOptions options_;
  std::atomic<uint64_t> shortened_ = 0;
  std::unique_ptr<KafkaProducer> producer_;  // Null after Shutdown, or when it could not be remade.
  bool shut_down_ = false;
};

}  // namespace vedette
