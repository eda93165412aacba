// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
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
// called from one thread; it does not retry a batch. What arrived of a batch that failed is, in
// each partition, its beginning (docs/siem.md has the one exception), so that the same batch sent
// again keeps the order. A batch of one whose record is too large for its topic is sent once more
// in short. Values of secrets are in none of its texts.
class KafkaProducer {
 public:
  // InvalidArgument: librdkafka refuses an option, or a secret cannot be read; one sentence.
  // `shortened` counts over all producers of a sink.
  static absl::StatusOr<std::unique_ptr<KafkaProducer>> Create(const KafkaOptions& options,
                                                               std::atomic<uint64_t>* shortened);
  ~KafkaProducer();
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  void Send(const std::vector<pb::Event>& batch, Exporter::Done done);

  // Waits until every batch is answered; at `deadline` what is left is given up, which answers it.
  // True: nothing had to be given up.
  bool Drain(Deadline deadline);

  // True once anything failed that is not the record's own fault: make a new one. It reads secrets
  // and certificates anew, looks for topics at once, and numbers its records anew, so that the
  // broker cannot take a record for a copy of one that had timed out on its way.
  bool stale() const;
  bool idle() const;

 private:
  struct Batch;
  struct Callbacks;

  KafkaProducer(const KafkaOptions& options, std::atomic<uint64_t>* shortened);
  absl::Status Open();
  absl::Status OpenTopics();
  absl::Status EnsureTopics();
  void Serve();
  Batch* NewBatch(Exporter::Done done);
  void SendShort(const pb::Event& event, size_t whole_size, Exporter::Done done);
  bool Produce(const pb::Event& event, Batch* batch);
  // A rd_kafka_resp_err_t.
  int ProduceOnce(const pb::Event& event, const std::string& value, Batch* batch);
  const std::string& TopicOf(const pb::Event& event) const;
  void OnReport(const rd_kafka_message_s& message);
  void OnError(int error, const char* reason);
  void OnCertificate(int error, std::string_view der);
  void OnLog(const char* facility, const char* text) const;
  void Note(Batch* batch, KafkaFailure failure);
  void Answer(Batch* batch);
  void Finish(Batch* batch, absl::Status status);
  bool SendShortened(Batch* batch);
  int Fatal() const;
  void EndWhatFailed();
  void GiveUp(int error);
  bool NothingUnderWay() const { return under_way_.empty(); }
  bool MustServe() const { return !under_way_.empty() || closing_; }

  const KafkaOptions options_;
  const KafkaPlace place_;
  std::atomic<uint64_t>* const shortened_;
  absl::Duration timeout_;  // Of a batch.
  std::vector<std::string> secrets_;
  rd_kafka_s* kafka_ = nullptr;
  rd_kafka_topic_s* findings_ = nullptr;
  rd_kafka_topic_s* ledger_ = nullptr;

  mutable Mutex mutex_;
  // Guarded by mutex_.
  std::list<Batch*> under_way_;
  uint64_t messages_ = 0;  // Handed to librdkafka and not reported yet.
  bool closing_ = false;
  bool stale_ = false;
  int given_up_ = 0;  // Why all that is under way was given up: a rd_kafka_resp_err_t.
  std::unique_ptr<KafkaProducer>
      for_short_;  // This one sends nothing after it was refused a record.
  KafkaTrouble trouble_;
  std::map<std::string, std::string> create_errors_;  // By topic.

  std::thread server_;
};

}  // namespace vedette
