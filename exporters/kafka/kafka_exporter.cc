// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_exporter.h"

#include <utility>

#include "agent/base/status.h"

namespace vedette {

absl::StatusOr<std::unique_ptr<KafkaExporter>> KafkaExporter::Create(KafkaOptions options) {
  std::unique_ptr<KafkaExporter> exporter(new KafkaExporter(std::move(options)));
  VEDETTE_ASSIGN_OR_RETURN(exporter->producer_,
                           KafkaProducer::Create(exporter->options_, &exporter->shortened_));
  return exporter;
}

void KafkaExporter::Export(std::vector<pb::Event> batch, Done done) {
  if (shut_down_) {
    done(absl::UnavailableError("Kafka: the exporter is shut down"));
    return;
  }
  if (producer_ != nullptr && producer_->stale() && producer_->idle()) {
    producer_.reset();
  }
  if (producer_ == nullptr) {
    absl::StatusOr<std::unique_ptr<KafkaProducer>> made =
        KafkaProducer::Create(options_, &shortened_);
    if (!made.ok()) {
      // The same options were good at the start, so this is a want of memory, threads or files.
      done(absl::UnavailableError(std::string(made.status().message())));
      return;
    }
    producer_ = *std::move(made);
  }
  producer_->Send(batch, std::move(done));
}

absl::Status KafkaExporter::Shutdown(Deadline deadline) {
  shut_down_ = true;
  if (producer_ == nullptr) {
    return absl::OkStatus();
  }
  const bool all = producer_->Drain(deadline);
  producer_.reset();
  return all ? absl::OkStatus()
             : absl::DeadlineExceededError(
                   "Kafka: the broker did not answer before the deadline of the shutdown");
}

}  // namespace vedette
