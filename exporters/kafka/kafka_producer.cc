// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "exporters/kafka/kafka_conf.h"
#include "exporters/kafka/kafka_topics.h"
#include "exporters/kafka/shorten.h"
#include "exporters/schema/encode.h"

namespace vedette {
namespace {

constexpr int kPollMs = 100;
constexpr int kEncodingMs = 1;
constexpr absl::Duration kQueueFullWait = absl::Seconds(10);
constexpr absl::Duration kPurgeWait = absl::Seconds(2);
constexpr absl::Duration kCreateBound = absl::Seconds(5);
constexpr size_t kErrorSize = 512;

bool IsPowerOfTwo(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

KafkaPlace PlaceOf(const KafkaOptions& options) {
  const auto user = options.options.find("sasl.username");
  return {JoinBrokers(options), user == options.options.end() ? "" : user->second};
}

}  // namespace

// A batch that waits for its reports. The sender holds one of `waiting` itself while it sends, so
// that the last report of a part cannot answer for the whole.
struct KafkaProducer::Batch {
  Exporter::Done done;
  std::optional<pb::Event> alone;  // The event of a batch of one, until it was shortened.
  uint64_t waiting = 1;
  size_t shortened_from = 0;
  KafkaFailure failure;
};

struct KafkaProducer::Callbacks {
  static void Report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    static_cast<KafkaProducer*>(self)->OnReport(*message);
  }
  static void Error(rd_kafka_t*, int error, const char* reason, void* self) {
    static_cast<KafkaProducer*>(self)->OnError(error, reason);
  }
  static void Log(const rd_kafka_t* kafka, int, const char* facility, const char* text) {
    if (kafka != nullptr) {
      static_cast<KafkaProducer*>(rd_kafka_opaque(kafka))->OnLog(facility, text);
    }
  }
  // Judges nothing by itself: what OpenSSL found wrong stays wrong.
  static int Certificate(rd_kafka_t*, const char*, int32_t, int* error, int, const char* der,
                         size_t size, char*, size_t, void* self) {
    if (*error != 0) {
      static_cast<KafkaProducer*>(self)->OnCertificate(*error, std::string_view(der, size));
    }
    return *error == 0 ? 1 : 0;
  }
};

KafkaProducer::KafkaProducer(const KafkaOptions& options)
    : place_(PlaceOf(options)),
      topic_(options.topic),
      ledger_topic_(options.ledger_topic),
      create_topics_(options.create_topics),
      partitions_(options.partitions),
      replication_(options.replication) {}

absl::StatusOr<std::unique_ptr<KafkaProducer>> KafkaProducer::Create(const KafkaOptions& options) {
  VEDETTE_RETURN_IF_ERROR(CheckKafkaOptions(options));
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(options));
  VEDETTE_RETURN_IF_ERROR(producer->Open(options));
  return producer;
}

absl::Status KafkaProducer::Open(const KafkaOptions& options) {
  std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(rd_kafka_conf_new(),
                                                                          &rd_kafka_conf_destroy);
  VEDETTE_ASSIGN_OR_RETURN(secrets_, SetKafkaConf(options, conf.get()));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_log_cb(conf.get(), &Callbacks::Log);
  rd_kafka_conf_set_error_cb(conf.get(), &Callbacks::Error);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), &Callbacks::Report);
  rd_kafka_conf_set_ssl_cert_verify_cb(conf.get(), &Callbacks::Certificate);
  char error[kErrorSize] = "";
  kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), error, sizeof(error));
  if (kafka_ == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.librdkafka: librdkafka refuses these options together: {}",
                    CleanKafkaText(error, secrets_)));
  }
  conf.release();  // The producer owns it now.
  // A topic that is looked for may be created by the broker, in the broker's own way.
  if (!create_topics_) {
    VEDETTE_RETURN_IF_ERROR(OpenTopics());
  }
  server_ = std::thread([this] { Serve(); });
  return absl::OkStatus();
}

absl::Status KafkaProducer::OpenTopics() {
  findings_ = rd_kafka_topic_new(kafka_, topic_.c_str(), nullptr);
  ledger_ = rd_kafka_topic_new(kafka_, ledger_topic_.c_str(), nullptr);
  if (findings_ == nullptr || ledger_ == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.librdkafka: librdkafka refuses the options of the topics: {}",
                    rd_kafka_err2str(rd_kafka_last_error())));
  }
  return absl::OkStatus();
}

absl::Status KafkaProducer::EnsureTopics() {
  if (findings_ != nullptr) {
    return absl::OkStatus();
  }
  std::vector<std::string> topics = {topic_};
  if (ledger_topic_ != topic_) {
    topics.push_back(ledger_topic_);
  }
  auto refused =
      CreateKafkaTopics(kafka_, {std::move(topics), partitions_, replication_}, kCreateBound);
  if (!refused.has_value()) {
    rd_kafka_poll(kafka_, 0);  // What the connections complained of.
    MutexLock lock(&mutex_);
    stale_ = stale_ || IsRefusedConnection(trouble_.error);
    return KafkaStatus(place_, {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, topic_, 0, ""}, trouble_);
  }
  {
    // Not an error yet: the topic may be there for those who may not create it.
    MutexLock lock(&mutex_);
    create_errors_ = *std::move(refused);
  }
  return OpenTopics();
}

KafkaProducer::~KafkaProducer() {
  if (server_.joinable()) {
    Drain(Deadline::Now());
    {
      MutexLock lock(&mutex_);
      closing_ = true;
    }
    server_.join();
  }
  for (rd_kafka_topic_t* topic : {findings_, ledger_}) {
    if (topic != nullptr) {
      rd_kafka_topic_destroy(topic);
    }
  }
  if (kafka_ != nullptr) {
    rd_kafka_destroy(kafka_);
  }
}

void KafkaProducer::Serve() {
  for (;;) {
    {
      MutexLock lock(&mutex_);
      mutex_.Await([this] { return MustServe(); });
      if (closing_) {
        return;
      }
    }
    // A batch is whole when it is sent, so lingering for more of it would only delay it. Flush
    // serves reports like a poll, but comes back at once while the first event is being encoded.
    if (rd_kafka_flush(kafka_, kPollMs) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_poll(kafka_, kEncodingMs);
    }
  }
}

void KafkaProducer::Send(const std::vector<pb::Event>& batch, Exporter::Done done) {
  if (const absl::Status status = EnsureTopics(); !status.ok()) {
    done(status);
    return;
  }
  auto* waiting = new Batch{std::move(done), std::nullopt, 1, 0, {}};
  if (batch.size() == 1) {
    waiting->alone = batch[0];
  }
  for (const pb::Event& event : batch) {
    {
      MutexLock lock(&mutex_);
      ++messages_;
      ++waiting->waiting;
    }
    const int error = Produce(event, waiting);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      {
        MutexLock lock(&mutex_);
        --messages_;
        --waiting->waiting;
      }
      Note(waiting,
           {error, event.has_ledger() ? ledger_topic_ : topic_, EncodeJson(event).size(), ""});
      break;  // What follows must not overtake it.
    }
  }
  Answer(waiting);
}

int KafkaProducer::Produce(const pb::Event& event, Batch* batch) {
  const std::string value = EncodeJson(event);
  const Deadline give_up = Deadline::In(kQueueFullWait);
  for (;;) {
    const int error = ProduceOnce(event, value, batch);
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL || give_up.IsPassed()) {
      return error;
    }
    // Smaller than a batch, by the user's choice: wait for reports of what is in it.
    MutexLock lock(&mutex_);
    const auto fewer = [this, before = messages_] { return messages_ < before; };
    mutex_.AwaitWithTimeout(fewer, absl::Milliseconds(kPollMs));
  }
}

int KafkaProducer::ProduceOnce(const pb::Event& event, const std::string& value, Batch* batch) {
  const std::string_view schema = SchemaId(event);
  const auto header = [](rd_kafka_headers_t* headers, const char* name, std::string_view text) {
    rd_kafka_header_add(headers, name, -1, text.data(), static_cast<ssize_t>(text.size()));
  };
  rd_kafka_headers_t* headers = rd_kafka_headers_new(7);
  header(headers, "content-type", "application/json");
  header(headers, "schema", schema);
  header(headers, "event-uid", event.uid());
  header(headers, "node", event.node());
  header(headers, "boot-id", event.boot_id());
  header(headers, "sequence", std::to_string(event.sequence()));
  if (batch->shortened_from > 0) {
    header(headers, "shortened-from", std::to_string(batch->shortened_from));
  }
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      kafka_, RD_KAFKA_V_RKT(event.has_ledger() ? ledger_ : findings_),
      RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(event.key().data(), event.key().size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
      RD_KAFKA_V_TIMESTAMP(event.time_unix_ns() / 1'000'000), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_OPAQUE(batch), RD_KAFKA_V_END);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_headers_destroy(headers);  // Taken over only by a message that was accepted.
  }
  return error;
}

void KafkaProducer::OnReport(const rd_kafka_message_s& message) {
  auto* batch = static_cast<Batch*>(message._private);
  {
    MutexLock lock(&mutex_);
    --messages_;
  }
  Note(batch, {message.err, rd_kafka_topic_name(message.rkt), message.len, ""});
  Answer(batch);
}

void KafkaProducer::OnError(int error, const char* reason) {
  MutexLock lock(&mutex_);
  stale_ = stale_ || error == RD_KAFKA_RESP_ERR__FATAL;
  // That all are down says less than why.
  if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || trouble_.reason.empty()) {
    trouble_.error = error;
    trouble_.reason = CleanKafkaText(reason, secrets_);
    if (!IsRefusedConnection(error)) {
      trouble_.certificate = 0;
    }
  }
}

void KafkaProducer::OnCertificate(int error, std::string_view der) {
  MutexLock lock(&mutex_);
  trouble_.certificate = error;
  DescribeCertificate(der, &trouble_);
}

// librdkafka repeats itself while a broker is away; the exporter's status says it once.
void KafkaProducer::OnLog(const char* facility, const char* text) const {
  spdlog::debug("librdkafka: {}: {}", facility, CleanKafkaText(text, secrets_));
}

// Takes over why a message failed. A fault of the connection outweighs one of the event: the batch
// has to come again anyway.
void KafkaProducer::Note(Batch* batch, KafkaFailure failure) {
  if (failure.error == RD_KAFKA_RESP_ERR__FATAL) {
    char text[kErrorSize] = "";
    const int fatal = rd_kafka_fatal_error(kafka_, text, sizeof(text));
    failure.error = fatal == RD_KAFKA_RESP_ERR_NO_ERROR ? failure.error : fatal;
    MutexLock lock(&mutex_);
    stale_ = true;
  }
  if (failure.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return;
  }
  MutexLock lock(&mutex_);
  stale_ = stale_ || !IsTheEventsFault(failure.error);
  if (batch->failure.error == RD_KAFKA_RESP_ERR_NO_ERROR ||
      IsTheEventsFault(batch->failure.error)) {
    const auto created = create_errors_.find(failure.topic);
    failure.create_error = created == create_errors_.end() ? "" : created->second;
    batch->failure = std::move(failure);
  }
}

void KafkaProducer::Answer(Batch* batch) {
  {
    MutexLock lock(&mutex_);
    if (--batch->waiting > 0) {
      return;
    }
  }
  if (SendShortened(batch)) {
    return;
  }
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    status = KafkaStatus(place_, batch->failure, trouble_);
    if (status.ok()) {
      trouble_ = KafkaTrouble();
    }
  }
  const std::unique_ptr<Batch> owned(batch);
  owned->done(std::move(status));
}

// A record that came alone and is too large goes once more, in short. True: its report answers.
bool KafkaProducer::SendShortened(Batch* batch) {
  if (!batch->alone.has_value() || !IsTheEventsFault(batch->failure.error)) {
    return false;
  }
  const std::optional<pb::Event> shortened = Shorten(*batch->alone, batch->failure.size_bytes);
  batch->alone.reset();
  if (!shortened.has_value()) {
    return false;
  }
  const KafkaFailure whole = std::exchange(batch->failure, {});
  batch->shortened_from = whole.size_bytes;
  batch->waiting = 1;
  uint64_t count = 0;
  {
    MutexLock lock(&mutex_);
    ++messages_;
    count = ++shortened_;
  }
  const int error = ProduceOnce(*shortened, EncodeJson(*shortened), batch);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    MutexLock lock(&mutex_);
    --messages_;
    batch->failure = whole;
    if (!IsTheEventsFault(error)) {
      batch->failure.error = error;  // Not refused: the whole record is tried again later.
    }
    return false;
  }
  if (IsPowerOfTwo(count)) {
    spdlog::warn("{}; sent in short, {} so far", Message(KafkaStatus(place_, whole, {})), count);
  }
  return true;
}

bool KafkaProducer::Drain(Deadline deadline) {
  {
    MutexLock lock(&mutex_);
    const auto nothing = [this] { return NothingUnderWay(); };
    if (mutex_.AwaitWithDeadline(nothing, deadline)) {
      return true;
    }
  }
  rd_kafka_purge(kafka_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout([this] { return NothingUnderWay(); }, kPurgeWait);
  return false;
}

bool KafkaProducer::stale() const {
  MutexLock lock(&mutex_);
  return stale_;
}

bool KafkaProducer::idle() const {
  MutexLock lock(&mutex_);
  return messages_ == 0;
}

}  // namespace vedette
