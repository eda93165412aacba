// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"
#include "agent/base/mutex.h"
#include "exporters/api/exporter.h"
#include "exporters/kafka/kafka_failure.h"
#include "exporters/kafka/kafka_options.h"

struct rd_kafka_s;
struct rd_kafka_topic_s;
struct rd_kafka_message_s;

namespace vedette {

// One librdkafka producer, its two topics, and the thread that serves its delivery reports (asleep
// while nothing is under way). A batch is answered when its last report is in. Send and Drain are
// called from one thread; it does not retry a batch. A batch of one whose record is too large for
// its topic is sent once more in short. Values of secrets are in none of its texts.
class KafkaProducer {
 public:
  // InvalidArgument: librdkafka refuses an option, or a secret cannot be read; one sentence.
  static absl::StatusOr<std::unique_ptr<KafkaProducer>> Create(const KafkaOptions& options);
  ~KafkaProducer();
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  void Send(const std::vector<pb::Event>& batch, Exporter::Done done);

  // Waits until every batch is answered; at `deadline` what is left is purged, which answers it.
  // True: nothing had to be purged.
  bool Drain(Deadline deadline);

  // True once anything failed that is not the record's own fault: make a new one. It reads secrets
  // and certificates anew, looks for topics at once, and numbers its records anew, so that the
  // broker cannot take a record for a copy of one that had timed out on its way.
  bool stale() const;
  bool idle() const;

 private:
  struct Batch;
  struct Callbacks;

  explicit KafkaProducer(const KafkaOptions& options);
  absl::Status Open(const KafkaOptions& options);
  absl::Status OpenTopics();
  absl::Status EnsureTopics();
  void Serve();
  int Produce(const pb::Event& event, Batch* batch);  // A rd_kafka_resp_err_t.
  int ProduceOnce(const pb::Event& event, const std::string& value, Batch* batch);
  void OnReport(const rd_kafka_message_s& message);
  void OnError(int error, const char* reason);
  void OnCertificate(int error, std::string_view der);
  void OnLog(const char* facility, const char* text) const;
  void Note(Batch* batch, KafkaFailure failure);
  void Answer(Batch* batch);
  bool SendShortened(Batch* batch);
  bool NothingUnderWay() const { return messages_ == 0; }
  bool MustServe() const { return messages_ > 0 || closing_; }

  const KafkaPlace place_;
  const std::string topic_, ledger_topic_;
  const bool create_topics_;
  const int partitions_, replication_;
  std::vector<std::string> secrets_;
  rd_kafka_s* kafka_ = nullptr;
  rd_kafka_topic_s* findings_ = nullptr;
  rd_kafka_topic_s* ledger_ = nullptr;

  mutable Mutex mutex_;
  // Guarded by mutex_.
  uint64_t messages_ = 0;  // Handed to librdkafka and not reported yet.
  bool closing_ = false;
  bool stale_ = false;
  uint64_t shortened_ = 0;
  KafkaTrouble trouble_;
  std::map<std::string, std::string> create_errors_;  // By topic.

  std::thread server_;
};

}  // namespace vedette
