// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "exporters/schema/encode.h"

namespace vedette {
namespace {

constexpr int kPollMs = 100;
constexpr int kEncodingMs = 1;
constexpr absl::Duration kQueueFullWait = absl::Seconds(10);
constexpr absl::Duration kPurgeWait = absl::Seconds(2);
constexpr size_t kErrorSize = 512;

// What the user did not set. Batches come ready-made from the spool, so librdkafka need not linger.
// Ten seconds are long enough for a broker to restart and short enough to tell that it is away.
constexpr std::pair<const char*, const char*> kDefaults[] = {
    {"client.id", "vedette"},
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"compression.codec", "zstd"},
    {"partitioner", "murmur2_random"},
    {"linger.ms", "0"},
    {"socket.nagle.disable", "true"},
    {"message.timeout.ms", "10000"},
    {"topic.metadata.propagation.max.ms", "3000"},
    {"reconnect.backoff.max.ms", "1000"},
    {"log.connection.close", "false"},
};

std::string Join(const std::vector<std::string>& brokers) {
  std::string joined;
  for (const std::string& broker : brokers) {
    joined += joined.empty() ? "" : ",";
    joined += broker;
  }
  return joined;
}

// librdkafka ends some of its messages with a newline.
std::string OneLine(std::string text) {
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

absl::Status SetOption(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char error[kErrorSize] = "";
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof(error)) !=
      RD_KAFKA_CONF_OK) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.librdkafka.{}: librdkafka refuses it: {}; its file "
                    "CONFIGURATION.md lists what it takes",
                    name, OneLine(error)));
  }
  return absl::OkStatus();
}

// librdkafka repeats itself while a broker is away; the exporter's status says it once.
void OnLog(const rd_kafka_t*, int, const char* facility, const char* text) {
  spdlog::debug("librdkafka: {}: {}", facility, text);
}

bool IsUnknownTopic(int error) {
  return error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
         error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

bool IsTheEventsFault(int error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || error == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

}  // namespace

// A batch that waits for its reports. The sender holds one of `waiting` itself while it sends, so
// that the last report of a part cannot answer for the whole.
struct KafkaProducer::Batch {
  Exporter::Done done;
  uint64_t waiting = 1;
  int error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string topic;  // Of the message that failed.
};

struct KafkaProducer::Callbacks {
  static void Report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    static_cast<KafkaProducer*>(self)->OnReport(*message);
  }
  static void Error(rd_kafka_t*, int error, const char* reason, void* self) {
    static_cast<KafkaProducer*>(self)->OnError(error, reason);
  }
};

KafkaProducer::KafkaProducer(const KafkaOptions& options)
    : brokers_(Join(options.brokers)), topic_(options.topic), ledger_topic_(options.ledger_topic) {}

absl::StatusOr<std::unique_ptr<KafkaProducer>> KafkaProducer::Create(const KafkaOptions& options) {
  VEDETTE_RETURN_IF_ERROR(CheckKafkaOptions(options));
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(options));
  VEDETTE_RETURN_IF_ERROR(producer->Open(options));
  return producer;
}

absl::Status KafkaProducer::Open(const KafkaOptions& options) {
  std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(rd_kafka_conf_new(),
                                                                          &rd_kafka_conf_destroy);
  for (const auto& [name, value] : kDefaults) {
    VEDETTE_RETURN_IF_ERROR(SetOption(conf.get(), name, value));
  }
  VEDETTE_RETURN_IF_ERROR(SetOption(conf.get(), "bootstrap.servers", brokers_));
  for (const auto& [name, value] : options.options) {
    VEDETTE_RETURN_IF_ERROR(SetOption(conf.get(), name, value));
  }
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_log_cb(conf.get(), &OnLog);
  rd_kafka_conf_set_error_cb(conf.get(), &Callbacks::Error);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), &Callbacks::Report);
  char error[kErrorSize] = "";
  kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), error, sizeof(error));
  if (kafka_ == nullptr) {
    return absl::InvalidArgumentError(fmt::format(
        "sinks.kafka.librdkafka: librdkafka refuses these options together: {}", OneLine(error)));
  }
  conf.release();  // The producer owns it now.
  findings_ = rd_kafka_topic_new(kafka_, topic_.c_str(), nullptr);
  ledger_ = rd_kafka_topic_new(kafka_, ledger_topic_.c_str(), nullptr);
  if (findings_ == nullptr || ledger_ == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.librdkafka: librdkafka refuses the options of the topics: {}",
                    rd_kafka_err2str(rd_kafka_last_error())));
  }
  server_ = std::thread([this] { Serve(); });
  return absl::OkStatus();
}

KafkaProducer::~KafkaProducer() {
  if (server_.joinable()) {
    Drain(absl::Now());
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
  auto* waiting = new Batch{std::move(done), 1, RD_KAFKA_RESP_ERR_NO_ERROR, ""};
  for (const pb::Event& event : batch) {
    {
      MutexLock lock(&mutex_);
      ++messages_;
      ++waiting->waiting;
    }
    const int error = Produce(event, waiting);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      MutexLock lock(&mutex_);
      --messages_;
      --waiting->waiting;
      waiting->error = error;
      waiting->topic = event.has_ledger() ? ledger_topic_ : topic_;
      stale_ = stale_ || IsUnknownTopic(error) || error == RD_KAFKA_RESP_ERR__FATAL;
      break;  // What follows must not overtake it.
    }
  }
  Answer(waiting, RD_KAFKA_RESP_ERR_NO_ERROR);
}

int KafkaProducer::Produce(const pb::Event& event, Batch* batch) {
  const std::string value = EncodeJson(event);
  const absl::Time give_up = absl::Now() + kQueueFullWait;
  for (;;) {
    const int error = ProduceOnce(event, value, batch);
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL || absl::Now() > give_up) {
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
  rd_kafka_headers_t* headers = rd_kafka_headers_new(5);
  header(headers, "content-type", "application/json");
  header(headers, "schema", schema);
  header(headers, "event-uid", event.uid());
  header(headers, "node", event.node());
  header(headers, "boot-id", event.boot_id());
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
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR && batch->topic.empty()) {
      batch->topic = rd_kafka_topic_name(message.rkt);
    }
    stale_ = stale_ || IsUnknownTopic(message.err) || message.err == RD_KAFKA_RESP_ERR__FATAL;
  }
  Answer(batch, message.err);
}

void KafkaProducer::OnError(int error, const char* reason) {
  MutexLock lock(&mutex_);
  stale_ = stale_ || error == RD_KAFKA_RESP_ERR__FATAL;
  if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || broker_error_.empty()) {
    broker_error_ = OneLine(reason);
  }
}

void KafkaProducer::Answer(Batch* batch, int error) {
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    // A fault of the connection outweighs one of the event: the batch has to come again anyway.
    if (batch->error == RD_KAFKA_RESP_ERR_NO_ERROR || IsTheEventsFault(batch->error)) {
      batch->error = error == RD_KAFKA_RESP_ERR_NO_ERROR ? batch->error : error;
    }
    if (--batch->waiting > 0) {
      return;
    }
    status = StatusOf(batch->error, batch->topic);
    if (status.ok()) {
      broker_error_.clear();
    }
  }
  const std::unique_ptr<Batch> owned(batch);
  owned->done(std::move(status));
}

absl::Status KafkaProducer::StatusOf(int error, const std::string& topic) const {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::OkStatus();
  }
  const char* text = rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error));
  if (IsTheEventsFault(error)) {
    return absl::InvalidArgumentError(
        fmt::format("Kafka topic {} at {} does not take this finding: {}", topic, brokers_, text));
  }
  if (IsUnknownTopic(error)) {
    return absl::UnavailableError(
        fmt::format("Kafka topic {} does not exist at {}; create it, or let the broker create "
                    "topics (auto.create.topics.enable)",
                    topic, brokers_));
  }
  if (error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) {
    return absl::UnavailableError(
        fmt::format("Kafka at {} cannot be reached: {}; start the broker or correct "
                    "sinks.kafka.brokers",
                    brokers_, broker_error_.empty() ? "no answer in time" : broker_error_));
  }
  return absl::UnavailableError(fmt::format("Kafka topic {} at {}: {}", topic, brokers_, text));
}

bool KafkaProducer::Drain(absl::Time deadline) {
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
