// SPDX-License-Identifier: Apache-2.0
// Delivery into a real Apache Kafka.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>

#include "agent/deliver/delivery.h"
#include "exporters/api/exporter_contract.h"
#include "exporters/kafka/kafka_exporter.h"
#include "tests/support/events/json_schema.h"
#include "tests/support/events/observed_exporter.h"
#include "tests/support/events/ocsf_validator.h"
#include "tests/support/events/sample_events.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"

namespace vedette {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kBound = absl::Seconds(60);
constexpr int kPartitions = 3;

// One broker for the tests that leave it as they found it.
std::unique_ptr<KafkaBroker>& SharedBrokerOwner() {
  static auto* owner = new std::unique_ptr<KafkaBroker>();
  return *owner;
}

KafkaBroker* SharedBroker() { return SharedBrokerOwner().get(); }

class BrokerEnvironment final : public testing::Environment {
 public:
  // Without a broker no test of this file can say anything, so all of them fail here.
  void SetUp() override {
    auto broker = KafkaBroker::Create(KafkaBrokerOptions{});
    ASSERT_TRUE(broker.ok()) << broker.status();
    SharedBrokerOwner() = *std::move(broker);
  }
  void TearDown() override { SharedBrokerOwner().reset(); }
};

std::string NewTopic(KafkaBroker* broker) {
  static std::atomic<int> number = 0;
  const std::string topic = fmt::format("topic-{}", ++number);
  const absl::Status status = broker->CreateTopic(topic, kPartitions);
  EXPECT_TRUE(status.ok()) << status;
  return topic;
}

KafkaOptions OptionsFor(const KafkaBroker& broker, const std::string& topic) {
  KafkaOptions options;
  options.brokers = {broker.address()};
  options.topic = topic;
  options.options = {{"message.timeout.ms", "3000"}};
  return options;
}

class KafkaHarness final : public ExporterHarness {
 public:
  KafkaHarness() : broker_(SharedBroker()), topic_(NewTopic(broker_)) {}
  ~KafkaHarness() override {
    if (broker_->pid() < 0) {
      BringFarSideBack();
    }
  }
  std::unique_ptr<Exporter> Make() override {
    return KafkaExporter::Create(OptionsFor(*broker_, topic_)).value();
  }
  void TakeFarSideAway() override { broker_->Kill(); }
  void BringFarSideBack() override {
    const absl::Status status = broker_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }
  std::vector<std::string> Delivered() override {
    const auto messages = ReadTopic(broker_->address(), topic_);
    EXPECT_TRUE(messages.ok()) << messages.status();
    std::vector<std::string> values;
    for (const KafkaMessage& message : messages.value_or(std::vector<KafkaMessage>())) {
      values.push_back(message.value);
    }
    return values;
  }
  absl::Duration AnswerBound() const override { return absl::Seconds(15); }

 private:
  KafkaBroker* const broker_;
  const std::string topic_;
};

INSTANTIATE_TEST_SUITE_P(Kafka, ExporterContractTest,
                         testing::Values([]() -> std::unique_ptr<ExporterHarness> {
                           return std::make_unique<KafkaHarness>();
                         }));

class KafkaE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/kafka_e2e_test.XXXXXX";
    dir_ = mkdtemp(name.data());
    db_ = SqliteDatabase::Open(dir_ + "/vedette.db").value();
  }
  void TearDown() override {
    delivery_.reset();
    db_.reset();
    std::filesystem::remove_all(dir_);
  }
  void StartDelivery(const KafkaOptions& options, std::function<void()> after_export = nullptr) {
    auto exporter = KafkaExporter::Create(options);
    ASSERT_TRUE(exporter.ok()) << exporter.status();
    std::vector<NamedExporter> sinks;
    sinks.push_back({"kafka", std::make_unique<ObservedExporter>(*std::move(exporter), &log_,
                                                                 std::move(after_export))});
    DeliveryOptions delivery;
    delivery.max_backoff = absl::Milliseconds(500);
    auto started = Delivery::Start(*db_, std::move(sinks), delivery);
    ASSERT_TRUE(started.ok()) << started.status();
    delivery_ = *std::move(started);
  }
  void Append(const std::vector<pb::Event>& events) {
    ASSERT_TRUE(db_->Begin().ok());
    for (const pb::Event& event : events) {
      ASSERT_TRUE(delivery_->Append(event).ok());
    }
    ASSERT_TRUE(db_->Commit().ok());
    delivery_->Committed();
  }
  static std::vector<pb::Event> Findings(int first, int count, int keys = 10) {
    std::vector<pb::Event> events;
    for (int i = first; i < first + count; ++i) {
      pb::Event event = SampleFindings()[0];
      event.set_uid(std::to_string(i));
      event.set_key(fmt::format("host/workload-{}", i % keys));
      events.push_back(std::move(event));
    }
    return events;
  }

  std::string dir_;
  std::unique_ptr<SqliteDatabase> db_;
  ExporterLog log_;
  std::unique_ptr<Delivery> delivery_;
};

TEST_F(KafkaE2eTest, FindingsAndLedgersArriveWithKeyHeadersAndPartition) {
  KafkaBroker* broker = SharedBroker();
  KafkaOptions options = OptionsFor(*broker, NewTopic(broker));
  options.ledger_topic = NewTopic(broker);
  StartDelivery(options);
  Append(SampleFindings());
  Append(SampleLedgers());
  ASSERT_TRUE(log_.WaitForDelivered(SampleFindings().size() + SampleLedgers().size(), kBound))
      << log_.last_failure();
  const auto findings = ReadTopic(broker->address(), options.topic).value();
  const auto ledgers = ReadTopic(broker->address(), options.ledger_topic).value();
  ASSERT_EQ(findings.size(), SampleFindings().size());
  ASSERT_EQ(ledgers.size(), SampleLedgers().size());
  std::map<std::string, pb::Event> sent;
  for (const pb::Event& event : SampleFindings()) {
    sent[event.uid()] = event;
  }
  for (const KafkaMessage& message : findings) {
    const pb::Event& event = sent[message.headers.at("event-uid")];
    EXPECT_EQ(message.key, event.key());
    EXPECT_EQ(message.headers.at("schema"), "ocsf/1.8.0/detection_finding");
    EXPECT_EQ(message.headers.at("content-type"), "application/json");
    EXPECT_EQ(message.headers.at("node"), "node-1");
    EXPECT_EQ(message.headers.at("boot-id"), event.boot_id());
    EXPECT_EQ(message.partition,
              rd_kafka_msg_partitioner_murmur2_random(
                  nullptr, message.key.data(), message.key.size(), kPartitions, nullptr, nullptr));
    EXPECT_THAT(OcsfErrors(message.value), IsEmpty());
  }
  for (const KafkaMessage& message : ledgers) {
    EXPECT_EQ(message.headers.at("schema"), "vedette.ledger/1");
    EXPECT_THAT(JsonSchemaErrors(message.value, "exporters/schema/ledger.schema.json"), IsEmpty());
  }
}

TEST_F(KafkaE2eTest, ABrokerKilledInMidBatchLosesNothing) {
  constexpr int kCount = 20000;
  KafkaBroker* broker = SharedBroker();
  const KafkaOptions options = OptionsFor(*broker, NewTopic(broker));
  int batches = 0;
  StartDelivery(options, [&batches, broker] {
    if (++batches == 5) {
      broker->Kill();
    }
  });
  for (int first = 0; first < kCount; first += 1000) {
    Append(Findings(first, 1000));
  }
  ASSERT_TRUE(log_.WaitForBatches(5, kBound));
  ASSERT_TRUE(broker->Start().ok());
  ASSERT_TRUE(log_.WaitForDelivered(kCount, kBound)) << log_.last_failure();
  delivery_->Stop(absl::Now() + kBound);

  const auto messages = ReadTopic(broker->address(), options.topic);
  ASSERT_TRUE(messages.ok()) << messages.status();
  std::map<std::string, int> copies;
  std::map<std::string, int> last_of_key;
  for (const KafkaMessage& message : *messages) {
    const std::string& uid = message.headers.at("event-uid");
    EXPECT_THAT(message.value, HasSubstr(fmt::format("\"uid\":\"{}\"", uid)));
    if (++copies[uid] == 1) {
      const int number = std::stoi(uid);
      const auto last = last_of_key.try_emplace(message.key, -1).first;
      EXPECT_GT(number, last->second) << "order of " << message.key;
      last->second = number;
    }
  }
  EXPECT_EQ(copies.size(), static_cast<size_t>(kCount));
  RecordProperty("duplicates", static_cast<int>(messages->size() - copies.size()));
  EXPECT_EQ(delivery_->Accounts().value()[0].delivered, static_cast<uint64_t>(kCount));
}

TEST_F(KafkaE2eTest, AMissingTopicIsOneSentenceAndServedOnceItIsThere) {
  KafkaBroker* broker = SharedBroker();
  KafkaOptions options = OptionsFor(*broker, "not-made-yet");
  options.options["topic.metadata.propagation.max.ms"] = "500";
  StartDelivery(options);
  Append(Findings(0, 10));
  ASSERT_TRUE(log_.WaitForFailures(1, kBound));
  const absl::Status failure = log_.last_failure();
  EXPECT_TRUE(absl::IsUnavailable(failure));
  EXPECT_EQ(failure.message(),
            fmt::format("Kafka topic not-made-yet does not exist at {}; create it, or let the "
                        "broker create topics (auto.create.topics.enable)",
                        broker->address()));
  ASSERT_TRUE(broker->CreateTopic("not-made-yet", 1).ok());
  ASSERT_TRUE(log_.WaitForDelivered(10, kBound)) << log_.last_failure();
  EXPECT_EQ(ReadTopic(broker->address(), "not-made-yet").value().size(), 10u);
}

TEST_F(KafkaE2eTest, ABrokerThatIsAwayIsServedByALaterRun) {
  auto broker = KafkaBroker::Create({.start = false});
  ASSERT_TRUE(broker.ok()) << broker.status();
  KafkaOptions options = OptionsFor(**broker, "later");
  options.options["message.timeout.ms"] = "1000";
  StartDelivery(options);
  Append(Findings(0, 100));
  ASSERT_TRUE(log_.WaitForFailures(1, kBound));
  EXPECT_THAT(std::string(log_.last_failure().message()),
              AllOf(HasSubstr("Kafka at " + (*broker)->address() + " cannot be reached: "),
                    HasSubstr("Connection refused"), HasSubstr("sinks.kafka.brokers")));
  delivery_->Stop(absl::Now());
  EXPECT_EQ(delivery_->Accounts().value()[0].lag(), 100u);
  delivery_.reset();

  const absl::Status started = (*broker)->Start();
  ASSERT_TRUE(started.ok()) << started;
  ASSERT_TRUE((*broker)->CreateTopic("later", 1).ok());
  StartDelivery(options);
  ASSERT_TRUE(log_.WaitForDelivered(100, kBound)) << log_.last_failure();
  EXPECT_EQ(ReadTopic((*broker)->address(), "later").value().size(), 100u);
}

TEST_F(KafkaE2eTest, ARecordThatIsTooLargeIsDroppedAlone) {
  auto broker = KafkaBroker::Create({.max_message_bytes = 20000});
  ASSERT_TRUE(broker.ok()) << broker.status();
  ASSERT_TRUE((*broker)->CreateTopic("small", 1).ok());
  KafkaOptions options = OptionsFor(**broker, "small");
  // The broker's limit is on what arrives, and repeated letters would shrink to nothing.
  options.options["compression.codec"] = "none";
  options.options["batch.size"] = "15000";
  StartDelivery(options);
  std::vector<pb::Event> events = Findings(0, 20);
  events[4].mutable_finding()->set_sentence(std::string(30'000, 'x'));     // The broker refuses it.
  events[9].mutable_finding()->set_sentence(std::string(2'000'000, 'x'));  // librdkafka does.
  Append(events);
  ASSERT_TRUE(log_.WaitForDelivered(18, kBound)) << log_.last_failure();
  delivery_->Stop(absl::Now() + kBound);
  const SinkAccount account = delivery_->Accounts().value()[0];
  EXPECT_EQ(account.dropped.at(kDropRejected), 2u) << log_.last_failure();
  EXPECT_EQ(account.delivered, 18u);
  EXPECT_EQ(account.lag(), 0u);
}

TEST_F(KafkaE2eTest, AnOptionThatLibrdkafkaRefusesStopsTheStart) {
  KafkaOptions options = OptionsFor(*SharedBroker(), "any");
  options.options["max.in.flight"] = "6";  // Idempotence allows 5.
  EXPECT_THAT(std::string(KafkaExporter::Create(options).status().message()),
              AllOf(HasSubstr("sinks.kafka.librdkafka: "), HasSubstr("max.in.flight")));
}

[[maybe_unused]] const auto* const kEnvironment =
    testing::AddGlobalTestEnvironment(new BrokerEnvironment);

}  // namespace
}  // namespace vedette
