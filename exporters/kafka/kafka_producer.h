// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/mutex.h"
#include "exporters/api/exporter.h"
#include "exporters/kafka/kafka_options.h"

struct rd_kafka_s;
struct rd_kafka_topic_s;
struct rd_kafka_message_s;

namespace vedette {

// One librdkafka producer, its two topics, and the thread that serves its delivery reports (asleep
// while nothing is under way). A batch is answered when its last report is in. Send and Drain are
// called from one thread; it does not retry a batch and does not log.
class KafkaProducer {
 public:
  // InvalidArgument: librdkafka refuses an option; one sentence that names it.
  static absl::StatusOr<std::unique_ptr<KafkaProducer>> Create(const KafkaOptions& options);
  ~KafkaProducer();
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  void Send(const std::vector<pb::Event>& batch, Exporter::Done done);

  // Waits until every batch is answered; at `deadline` what is left is purged, which answers it.
  // True: nothing had to be purged.
  bool Drain(absl::Time deadline);

  // True when librdkafka will not recover by itself: a fatal error, or a topic that was not there
  // and that it would look for again only in minutes. Make a new one then.
  bool stale() const;
  bool idle() const;

 private:
  struct Batch;
  struct Callbacks;

  explicit KafkaProducer(const KafkaOptions& options);
  absl::Status Open(const KafkaOptions& options);
  void Serve();
  int Produce(const pb::Event& event, Batch* batch);  // A rd_kafka_resp_err_t.
  int ProduceOnce(const pb::Event& event, const std::string& value, Batch* batch);
  void OnReport(const rd_kafka_message_s& message);
  void OnError(int error, const char* reason);
  void Answer(Batch* batch, int error);
  absl::Status StatusOf(int error, const std::string& topic) const;
  bool NothingUnderWay() const { return messages_ == 0; }
  bool MustServe() const { return messages_ > 0 || closing_; }

  const std::string brokers_;
  const std::string topic_, ledger_topic_;
  rd_kafka_s* kafka_ = nullptr;
  rd_kafka_topic_s* findings_ = nullptr;
  rd_kafka_topic_s* ledger_ = nullptr;

  mutable Mutex mutex_;
  uint64_t messages_ = 0;  // Handed to librdkafka and not reported yet. Guarded by mutex_.
  bool closing_ = false;   // Guarded by mutex_.
  bool stale_ = false;     // Guarded by mutex_.
  std::string
      broker_error_;  // The last thing a broker connection complained of. Guarded by mutex_.
  std::thread server_;
};

}  // namespace vedette
