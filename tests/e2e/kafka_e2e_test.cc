// SPDX-License-Identifier: Apache-2.0
// Delivery into a real Apache Kafka.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>

#include "exporters/api/exporter_contract.h"
#include "tests/e2e/kafka_delivery.h"
#include "tests/support/events/json_schema.h"
#include "tests/support/events/ocsf_validator.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kPartitions = 3;

// One broker for the tests that leave it as they found it.
std::unique_ptr<KafkaBroker>& SharedBrokerOwner() {
  static auto* owner = new std::unique_ptr<KafkaBroker>();
  return *owner;
}

KafkaBroker* SharedBroker() { return SharedBrokerOwner().get(); }

class BrokerEnvironment final : public ::testing::Environment {
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

double ResidentMb() {
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
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
                         ::testing::Values([]() -> std::unique_ptr<ExporterHarness> {
                           return std::make_unique<KafkaHarness>();
                         }));

using KafkaE2eTest = KafkaDeliveryTest;

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

// The codecs of the batches that the broker has of a topic: the lowest three bits of each batch's
// attributes (Kafka's protocol guide, "Record Batch").
std::vector<int> CodecsOf(const KafkaBroker& broker, const std::string& topic) {
  constexpr size_t kLengthAt = 8, kLengthEnd = 12, kAttributesAt = 22, kHeaderBytes = 61;
  std::vector<int> codecs;
  for (int partition = 0; partition < kPartitions; ++partition) {
    const std::string log = testing::ReadFile(
        fmt::format("{}/{}-{}/00000000000000000000.log", broker.data_dir(), topic, partition));
    for (size_t at = 0; at + kHeaderBytes <= log.size();) {
      codecs.push_back(log[at + kAttributesAt] & 7);
      size_t length = 0;
      for (size_t i = kLengthAt; i < kLengthEnd; ++i) {
        length = length << 8 | static_cast<unsigned char>(log[at + i]);
      }
      at += kLengthEnd + length;
    }
  }
  return codecs;
}

TEST_F(KafkaE2eTest, WhatIsSentIsCompressedWithZstd) {
  constexpr int kZstd = 4;
  KafkaBroker* broker = SharedBroker();
  const KafkaOptions options = OptionsFor(*broker, NewTopic(broker));
  StartDelivery(options);
  Append(SampleFindings());
  ASSERT_TRUE(log_.WaitForDelivered(SampleFindings().size(), kBound)) << log_.last_failure();
  EXPECT_THAT(CodecsOf(*broker, options.topic), AllOf(Not(IsEmpty()), Each(kZstd)));
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
  delivery_->Stop(Deadline::In(kBound));

  ExpectAllInOrder(broker->address(), options.topic, kCount);
  EXPECT_EQ(delivery_->Accounts().value()[0].delivered, static_cast<uint64_t>(kCount));
}

// While the broker is silent the queue of librdkafka takes but half of a batch; the other half
// comes in when the first has been given up.
TEST_F(KafkaE2eTest, WhatTimedOutIsNotOvertakenByTheRestOfItsBatch) {
  constexpr int kQueue = 100;
  KafkaBroker* broker = SharedBroker();
  KafkaOptions options = OptionsFor(*broker, NewTopic(broker));
  options.options["queue.buffering.max.messages"] = std::to_string(kQueue);
  auto exporter = KafkaExporter::Create(options);
  ASSERT_TRUE(exporter.ok()) << exporter.status();
  ContractAnswers away(1), back(1);
  broker->Pause();
  (*exporter)->Export(Findings(0, 2 * kQueue), away.Slot(0));
  broker->Resume();
  ASSERT_TRUE(away.WaitForAll(kBound));
  EXPECT_TRUE(absl::IsUnavailable(away.Of(0)[0])) << away.Of(0)[0];
  (*exporter)->Export(Findings(0, 2 * kQueue), back.Slot(0));
  ASSERT_TRUE(back.WaitForAll(kBound));
  EXPECT_TRUE(back.Of(0)[0].ok()) << back.Of(0)[0];
  ExpectAllInOrder(broker->address(), options.topic, 2 * kQueue);
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
            fmt::format("Kafka topic not-made-yet does not exist at {}; create it, or set "
                        "sinks.kafka.create_topics to on",
                        broker->address()));
  ASSERT_TRUE(broker->CreateTopic("not-made-yet", 1).ok());
  ASSERT_TRUE(log_.WaitForDelivered(10, kBound)) << log_.last_failure();
  ExpectAllInOrder(broker->address(), "not-made-yet", 10);
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
  delivery_->Stop(Deadline::Now());
  EXPECT_EQ(delivery_->Accounts().value()[0].lag(), 100u);
  delivery_.reset();

  const absl::Status started = (*broker)->Start();
  ASSERT_TRUE(started.ok()) << started;
  ASSERT_TRUE((*broker)->CreateTopic("later", 1).ok());
  StartDelivery(options);
  ASSERT_TRUE(log_.WaitForDelivered(100, kBound)) << log_.last_failure();
  ExpectAllInOrder((*broker)->address(), "later", 100);
}

// Nobody takes two megabytes, and this broker not even 30 kB: those are sent in short and say so.
TEST_F(KafkaE2eTest, ARecordThatIsTooLargeIsSentInShort) {
  auto broker = KafkaBroker::Create({.max_message_bytes = 20000});
  ASSERT_TRUE(broker.ok()) << broker.status();
  ASSERT_TRUE((*broker)->CreateTopic("small", 1).ok());
  KafkaOptions options = OptionsFor(**broker, "small");
  // The broker's limit is on what arrives, and repeated letters would shrink to nothing.
  options.options["compression.codec"] = "none";
  options.options["batch.size"] = "15000";
  StartDelivery(options);
  std::vector<pb::Event> events = Findings(0, 20);
  events[4].mutable_finding()->set_sentence(std::string(30'000, 'x'));  // The broker refuses it.
  events[9].mutable_finding()->mutable_process()->add_argv(
      std::string(2'000'000, 'x'));  // librdkafka does.
  Append(events);
  ASSERT_TRUE(log_.WaitForDelivered(20, kBound)) << log_.last_failure();
  delivery_->Stop(Deadline::In(kBound));
  EXPECT_EQ(Account().delivered, 20u);
  EXPECT_EQ(Account().dropped.size(), 0u);
  // What was in one request with a large one came twice; a copy is told by its id.
  std::map<int, KafkaMessage> messages;
  ASSERT_TRUE(ReadEach((*broker)->address(), "small", [&messages](const KafkaMessage& message) {
                messages.emplace(std::stoi(message.headers.at("event-uid")), message);
              }).ok());
  ASSERT_EQ(messages.size(), 20u);
  for (const auto& [number, message] : messages) {
    const bool was_large = number == 4 || number == 9;
    EXPECT_EQ(message.headers.at("sequence"), std::to_string(number + 1));
    EXPECT_EQ(message.headers.count("shortened-from"), was_large ? 1u : 0u) << number;
    EXPECT_EQ(message.value.find("[shortened: the record of ") != std::string::npos, was_large);
    EXPECT_THAT(OcsfErrors(message.value), IsEmpty());
  }
}

// The broker refuses the request that holds the large one and would take those behind it.
TEST_F(KafkaE2eTest, ARecordThatIsTooLargeIsNotOvertakenByTheRestOfItsBatch) {
  constexpr int kRecords = 200;
  auto broker = KafkaBroker::Create({.max_message_bytes = 20000});
  ASSERT_TRUE(broker.ok()) << broker.status();
  ASSERT_TRUE((*broker)->CreateTopic("small", kPartitions).ok());
  KafkaOptions options = OptionsFor(**broker, "small");
  options.options["compression.codec"] = "none";
  options.options["batch.num.messages"] = "3";
  StartDelivery(options);
  std::vector<pb::Event> events = Findings(0, kRecords);
  for (const size_t large : {20, 21, 95}) {
    events[large].mutable_finding()->set_sentence(std::string(30'000, 'x'));
  }
  Append(events);
  ASSERT_TRUE(log_.WaitForDelivered(kRecords, kBound)) << log_.last_failure();
  delivery_->Stop(Deadline::In(kBound));
  EXPECT_EQ(Account().delivered, static_cast<uint64_t>(kRecords));
  EXPECT_EQ(delivery_->Stats()[0].retries, 0u) << log_.last_failure();
  ExpectAllInOrder((*broker)->address(), "small", kRecords);
}

TEST_F(KafkaE2eTest, ARecordThatIsTooLargeEvenInShortIsDroppedAlone) {
  auto broker = KafkaBroker::Create({.max_message_bytes = 3500});
  ASSERT_TRUE(broker.ok()) << broker.status();
  ASSERT_TRUE((*broker)->CreateTopic("tiny", 1).ok());
  KafkaOptions options = OptionsFor(**broker, "tiny");
  options.options["compression.codec"] = "none";
  options.options["batch.num.messages"] = "1";
  StartDelivery(options);
  std::vector<pb::Event> events = Findings(0, 5);
  events[2].mutable_finding()->set_profile_state(std::string(4'000, 'x'));
  events[2].mutable_finding()->set_sentence(std::string(4'000, 'x'));
  Append(events);
  ASSERT_TRUE(log_.WaitForDelivered(4, kBound)) << log_.last_failure();
  delivery_->Stop(Deadline::In(kBound));
  EXPECT_EQ(Account().dropped.at(kDropRejected), 1u);
  EXPECT_EQ(Account().delivered, 4u);
  EXPECT_EQ(Account().lag(), 0u);
  EXPECT_THAT(
      std::string(log_.last_failure().message()),
      AllOf(HasSubstr("Kafka topic tiny at " + (*broker)->address() + " takes no record of "),
            HasSubstr(" bytes; raise max.message.bytes of the topic")));
}

// The short form of kafka_outage_sys_benchmark.
TEST_F(KafkaE2eTest, WhileTheBrokerIsAwayMemoryStaysAndAllArrivesInOrderAfterwards) {
  constexpr int kWarmUp = 5000, kAway = 30000, kCommit = 500;
  KafkaBroker* broker = SharedBroker();
  const KafkaOptions options = OptionsFor(*broker, NewTopic(broker));
  StartDelivery(options);
  int appended = 0;
  const auto append = [&](int count) {
    for (const int end = appended + count; appended < end; appended += kCommit) {
      Append(Findings(appended, kCommit));
    }
  };
  append(kWarmUp);
  ASSERT_TRUE(log_.WaitForDelivered(kWarmUp, kBound)) << log_.last_failure();
  const double before = ResidentMb();
  broker->Pause();  // It keeps its connections and says nothing.
  append(kAway / 2);
  ASSERT_TRUE(log_.WaitForFailures(1, kBound));
  broker->Kill();
  append(kAway / 2);
  ASSERT_TRUE(log_.WaitForFailures(3, kBound));
  EXPECT_LT(ResidentMb() - before, 16);
  EXPECT_GE(Account().lag(), static_cast<uint64_t>(kAway));
  ASSERT_TRUE(broker->Start().ok());
  append(kWarmUp);  // And what comes while the rest is caught up with.
  ASSERT_TRUE(log_.WaitForDelivered(appended, kBound)) << log_.last_failure();

  ExpectAllInOrder(broker->address(), options.topic, appended);
}

[[maybe_unused]] const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new BrokerEnvironment);

}  // namespace
}  // namespace vedette
