// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "exporters/kafka/kafka_conf.h"
#include "exporters/kafka/kafka_record.h"
#include "exporters/kafka/kafka_topics.h"
#include "exporters/kafka/shorten.h"
#include "exporters/schema/encode.h"

namespace vedette {
namespace {

constexpr int kPollMs = 100;
constexpr int kEncodingMs = 1;
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
  Deadline deadline;
  std::list<Batch*>::iterator place = {};
  std::optional<pb::Event> alone = {};  // The event of a batch of one that may be shortened.
  uint64_t waiting = 1;
  size_t shortened_from = 0;
  KafkaFailure failure = {};
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

KafkaProducer::KafkaProducer(const KafkaOptions& options, std::atomic<uint64_t>* shortened)
    : options_(options), place_(PlaceOf(options)), shortened_(shortened) {}

absl::StatusOr<std::unique_ptr<KafkaProducer>> KafkaProducer::Create(
    const KafkaOptions& options, std::atomic<uint64_t>* shortened) {
  VEDETTE_RETURN_IF_ERROR(CheckKafkaOptions(options));
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(options, shortened));
  VEDETTE_RETURN_IF_ERROR(producer->Open());
  return producer;
}

absl::Status KafkaProducer::Open() {
  std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(rd_kafka_conf_new(),
                                                                          &rd_kafka_conf_destroy);
  VEDETTE_ASSIGN_OR_RETURN(secrets_, SetKafkaConf(options_, conf.get()));
  VEDETTE_ASSIGN_OR_RETURN(timeout_, TakeMessageTimeout(conf.get()));
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
  [[maybe_unused]] const rd_kafka_conf_t* taken = conf.release();  // The producer owns it now.
  // A topic that is looked for may be created by the broker, in the broker's own way.
  if (!options_.create_topics) {
    VEDETTE_RETURN_IF_ERROR(OpenTopics());
  }
  try {  // The library throws where there is no thread to be had.
    server_ = std::thread([this] { Serve(); });
  } catch (const std::system_error& error) {
    return absl::UnavailableError(fmt::format("Kafka: no thread to be had: {}", error.what()));
  }
  return absl::OkStatus();
}

absl::Status KafkaProducer::OpenTopics() {
  findings_ = rd_kafka_topic_new(kafka_, options_.topic.c_str(), nullptr);
  ledger_ = rd_kafka_topic_new(kafka_, options_.ledger_topic.c_str(), nullptr);
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
  std::vector<std::string> topics = {options_.topic};
  if (options_.ledger_topic != options_.topic) {
    topics.push_back(options_.ledger_topic);
  }
  auto refused = CreateKafkaTopics(
      kafka_, {std::move(topics), options_.partitions, options_.replication}, kCreateBound);
  if (!refused.has_value()) {
    rd_kafka_poll(kafka_, 0);  // What the connections complained of.
    MutexLock lock(&mutex_);
    stale_ = stale_ || IsRefusedConnection(trouble_.error);
    return KafkaStatus(place_, {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, options_.topic, 0, ""}, trouble_);
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
    Drain(Deadline::Now());  // The server ends when the last report is in.
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
      if (closing_ && NothingUnderWay()) {
        return;
      }
    }
    // A batch is whole when it is sent, so lingering for more of it would only delay it. Flush
    // serves reports like a poll, but comes back at once while the first event is being encoded.
    if (rd_kafka_flush(kafka_, kPollMs) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_poll(kafka_, kEncodingMs);
    }
    EndWhatFailed();
  }
}

void KafkaProducer::EndWhatFailed() {
  bool is_late = false, has_messages = false;
  {
    MutexLock lock(&mutex_);
    const auto late = [](const Batch* batch) { return batch->deadline.IsPassed(); };
    is_late = given_up_ != RD_KAFKA_RESP_ERR_NO_ERROR ||
              std::any_of(under_way_.begin(), under_way_.end(), late);
    has_messages = messages_ > 0;
  }
  if (is_late) {
    GiveUp(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
  } else if (has_messages && Fatal() != RD_KAFKA_RESP_ERR_NO_ERROR) {
    // The request behind a refused one may come back to the queue after librdkafka's own purge.
    rd_kafka_purge(kafka_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
  }
}

// A rd_kafka_resp_err_t.
int KafkaProducer::Fatal() const {
  char text[kErrorSize] = "";
  return rd_kafka_fatal_error(kafka_, text, sizeof(text));
}

// librdkafka's own time-out, and a purge too, takes records away while its threads may go on
// sending those behind them. So first comes a fatal error, after which they send none, though the
// call was made for tests. What a purge misses because it is on its way between two of these
// threads, the next one finds. Any thread.
void KafkaProducer::GiveUp(int error) {
  KafkaProducer* for_short = nullptr;
  {
    MutexLock lock(&mutex_);
    stale_ = true;
    given_up_ = given_up_ == RD_KAFKA_RESP_ERR_NO_ERROR ? error : given_up_;
    for_short = for_short_.get();
  }
  rd_kafka_test_fatal_error(kafka_, static_cast<rd_kafka_resp_err_t>(error), "given up");
  rd_kafka_purge(
      kafka_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
  if (for_short != nullptr) {
    for_short->GiveUp(error);
  }
}

KafkaProducer::Batch* KafkaProducer::NewBatch(Exporter::Done done) {
  auto* batch = new Batch{std::move(done), Deadline::In(timeout_)};
  MutexLock lock(&mutex_);
  batch->place = under_way_.insert(under_way_.end(), batch);
  return batch;
}

void KafkaProducer::Send(const std::vector<pb::Event>& batch, Exporter::Done done) {
  if (const absl::Status status = EnsureTopics(); !status.ok()) {
    done(status);
    return;
  }
  Batch* waiting = NewBatch(std::move(done));
  if (batch.size() == 1) {
    waiting->alone = batch[0];
  }
  for (const pb::Event& event : batch) {
    if (!Produce(event, waiting)) {
      break;  // What follows must not overtake it.
    }
  }
  Answer(waiting);
}

// The short form of a record of `whole_size` bytes.
void KafkaProducer::SendShort(const pb::Event& event, size_t whole_size, Exporter::Done done) {
  Batch* batch = NewBatch(std::move(done));
  batch->shortened_from = whole_size;
  Produce(event, batch);
  Answer(batch);
}

bool KafkaProducer::Produce(const pb::Event& event, Batch* batch) {
  const std::string value = EncodeJson(event);
  {
    MutexLock lock(&mutex_);
    ++messages_;
    ++batch->waiting;
  }
  int error = ProduceOnce(event, value, batch);
  while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
    {
      // Smaller than a batch, by the user's choice: wait for reports of what is in it.
      MutexLock lock(&mutex_);
      const auto fewer = [this, before = messages_] { return messages_ < before; };
      mutex_.AwaitWithTimeout(fewer, absl::Milliseconds(kPollMs));
    }
    error = ProduceOnce(event, value, batch);
  }
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return true;
  }
  {
    MutexLock lock(&mutex_);
    --messages_;
    --batch->waiting;
  }
  Note(batch, {error, TopicOf(event), value.size(), ""});
  return false;
}

const std::string& KafkaProducer::TopicOf(const pb::Event& event) const {
  return event.has_ledger() ? options_.ledger_topic : options_.topic;
}

int KafkaProducer::ProduceOnce(const pb::Event& event, const std::string& value, Batch* batch) {
  {
    MutexLock lock(&mutex_);
    if (given_up_ != RD_KAFKA_RESP_ERR_NO_ERROR ||
        batch->failure.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return RD_KAFKA_RESP_ERR__PURGE_QUEUE;
    }
  }
  return ProduceRecord(kafka_, event.has_ledger() ? ledger_ : findings_,
                       {event, value, batch->shortened_from, batch});
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
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    stale_ = true;  // Why is in the reports of what it befell.
    return;
  }
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

// Takes over why a message failed, if that says more than what is known of its batch.
void KafkaProducer::Note(Batch* batch, KafkaFailure failure) {
  if (failure.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return;
  }
  const int fatal = Fatal();
  MutexLock lock(&mutex_);
  stale_ = stale_ || fatal != RD_KAFKA_RESP_ERR_NO_ERROR || !IsTheEventsFault(failure.error);
  const int cause = given_up_ != RD_KAFKA_RESP_ERR_NO_ERROR ? given_up_ : fatal;
  if (IsConsequence(failure.error) && cause != RD_KAFKA_RESP_ERR_NO_ERROR) {
    failure.error = cause;
  }
  if (KafkaErrorWeight(failure.error) > KafkaErrorWeight(batch->failure.error)) {
    const auto created = create_errors_.find(failure.topic);
    failure.create_error = created == create_errors_.end() ? "" : created->second;
    batch->failure = std::move(failure);
  }
}

void KafkaProducer::Answer(Batch* batch) {
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    if (--batch->waiting > 0) {
      return;
    }
    status = KafkaStatus(place_, batch->failure, trouble_);
  }
  if (!batch->alone.has_value() || !IsTheEventsFault(batch->failure.error) ||
      !SendShortened(batch)) {
    Finish(batch, std::move(status));
  }
}

void KafkaProducer::Finish(Batch* batch, absl::Status status) {
  const std::unique_ptr<Batch> owned(batch);
  {
    MutexLock lock(&mutex_);
    under_way_.erase(batch->place);
    if (status.ok()) {
      trouble_ = KafkaTrouble();
    }
  }
  owned->done(std::move(status));
}

// A record that came alone and was refused goes once more, in short and by a producer that was
// refused nothing. True: that one answers.
bool KafkaProducer::SendShortened(Batch* batch) {
  const KafkaFailure& whole = batch->failure;
  const std::optional<pb::Event> shortened = Shorten(*batch->alone, whole.size_bytes);
  if (!shortened.has_value()) {
    return false;
  }
  const uint64_t count = ++*shortened_;
  if (IsPowerOfTwo(count)) {
    spdlog::warn("{}; sent in short, {} so far", Message(KafkaStatus(place_, whole, {})), count);
  }
  KafkaProducer* sender = this;
  if (stale()) {
    KafkaOptions options = options_;
    options.create_topics = false;  // They are there.
    absl::StatusOr<std::unique_ptr<KafkaProducer>> made = Create(options, shortened_);
    if (!made.ok()) {
      Finish(batch, absl::UnavailableError(std::string(made.status().message())));
      return true;
    }
    MutexLock lock(&mutex_);
    std::swap(for_short_, *made);
    sender = for_short_.get();
  }
  int given_up = RD_KAFKA_RESP_ERR_NO_ERROR;
  {
    MutexLock lock(&mutex_);
    batch->deadline = Deadline::Never();  // What is sent in its place has one of its own.
    given_up = given_up_;
  }
  if (given_up != RD_KAFKA_RESP_ERR_NO_ERROR) {
    sender->GiveUp(given_up);
  }
  sender->SendShort(*shortened, whole.size_bytes,
                    [this, batch](absl::Status status) { Finish(batch, std::move(status)); });
  return true;
}

bool KafkaProducer::Drain(Deadline deadline) {
  {
    MutexLock lock(&mutex_);
    if (mutex_.AwaitWithDeadline([this] { return NothingUnderWay(); }, deadline)) {
      return true;
    }
  }
  GiveUp(RD_KAFKA_RESP_ERR__PURGE_QUEUE);
  MutexLock lock(&mutex_);
  mutex_.Await([this] { return NothingUnderWay(); });
  return false;
}

bool KafkaProducer::stale() const {
  MutexLock lock(&mutex_);
  return stale_;
}

bool KafkaProducer::idle() const {
  MutexLock lock(&mutex_);
  return NothingUnderWay();
}

}  // namespace vedette
