// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exporters/api/exporter_contract.h"

namespace vedette {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

KafkaOptions Nowhere() {
  KafkaOptions options;
  options.brokers = {"127.0.0.1:1"};  // Nobody listens on tcpmux.
  options.options = {{"message.timeout.ms", "500"}};
  return options;
}

std::string Refusal(const KafkaOptions& options) {
  const auto exporter = KafkaExporter::Create(options);
  EXPECT_FALSE(exporter.ok());
  EXPECT_EQ(exporter.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(exporter.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

TEST(KafkaExporterTest, AnOptionThatLibrdkafkaRefusesIsNamed) {
  KafkaOptions options = Nowhere();
  options.options["linger.mss"] = "5";
  EXPECT_THAT(Refusal(options),
              AllOf(HasSubstr("sinks.kafka.librdkafka.linger.mss: librdkafka refuses it"),
                    HasSubstr("CONFIGURATION.md")));
  options = Nowhere();
  options.options["compression.codec"] = "zip";
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.librdkafka.compression.codec"));
  options = Nowhere();
  options.options["linger.ms"] = "99999999";
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.librdkafka.linger.ms"));
}

TEST(KafkaExporterTest, OptionsThatContradictEachOtherAreRefused) {
  KafkaOptions options = Nowhere();
  options.options["acks"] = "1";  // Idempotence needs all.
  EXPECT_THAT(Refusal(options), AllOf(HasSubstr("sinks.kafka.librdkafka"), HasSubstr("acks")));
}

TEST(KafkaExporterTest, AClusterThatRefusesIdempotentProducersCanBeServed) {
  KafkaOptions options = Nowhere();
  options.options["enable.idempotence"] = "false";
  EXPECT_TRUE(KafkaExporter::Create(options).ok());
}

TEST(KafkaExporterTest, OptionsThatAreOursAreRefused) {
  KafkaOptions options = Nowhere();
  options.options["bootstrap.servers"] = "a:1";
  EXPECT_THAT(Refusal(options), HasSubstr("set sinks.kafka.brokers"));
  options = Nowhere();
  options.options["transactional.id"] = "a";
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.librdkafka.transactional.id"));
  for (const char* name : {"max.in.flight", "max.in.flight.requests.per.connection"}) {
    options = Nowhere();
    options.options[name] = "5";
    EXPECT_THAT(Refusal(options), HasSubstr("more than one request under way"));
  }
  for (const char* name : {"retries", "message.send.max.retries"}) {
    options = Nowhere();
    options.options[name] = "5";
    EXPECT_THAT(Refusal(options), HasSubstr("a record given up alone is overtaken by the next"));
  }
  options = Nowhere();
  options.options["enable.gapless.guarantee"] = "false";
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.librdkafka.enable.gapless.guarantee"));
  options = Nowhere();
  options.options["message.timeout.ms"] = "0";
  EXPECT_THAT(Refusal(options), HasSubstr("would wait forever"));
}

TEST(KafkaExporterTest, SecretsAsPlainTextAreRefusedWithoutSayingThem) {
  for (const char* name : {"sasl.password", "ssl.key.password", "ssl.keystore.password",
                           "ssl.key.pem", "sasl.oauthbearer.client.secret"}) {
    KafkaOptions options = Nowhere();
    options.options[name] = "planted-secret";
    EXPECT_THAT(
        Refusal(options),
        AllOf(HasSubstr(std::string("sinks.kafka.librdkafka.") + name + ": is a secret"),
              HasSubstr("{ file: /path } or { env: NAME }"), Not(HasSubstr("planted-secret"))));
  }
}

TEST(KafkaExporterTest, ASecretThatIsRefusedIsNotSaid) {
  setenv("VEDETTE_TEST_SECRET", "planted-secret", 1);
  KafkaOptions options = Nowhere();
  for (const char* name : {"compression.codec", "linger.ms", "planted-secret", "ssl.key.pem"}) {
    options.secrets = {{name, {SecretSource::From::kEnv, "VEDETTE_TEST_SECRET"}},
                       {"security.protocol", {SecretSource::From::kEnv, "VEDETTE_TEST_PROTOCOL"}}};
    setenv("VEDETTE_TEST_PROTOCOL", "ssl", 1);
    EXPECT_THAT(Refusal(options),
                AllOf(HasSubstr("sinks.kafka.librdkafka"), Not(HasSubstr("planted-secret"))));
  }
  options.secrets = {{"sasl.password", {SecretSource::From::kFile, "/nonexistent/password"}}};
  EXPECT_THAT(Refusal(options),
              HasSubstr("sinks.kafka.librdkafka.sasl.password: /nonexistent/password: cannot be "
                        "read: No such file or directory"));
  options.secrets = {{"bootstrap.servers", {SecretSource::From::kEnv, "VEDETTE_TEST_SECRET"}}};
  EXPECT_THAT(Refusal(options), HasSubstr("set sinks.kafka.brokers"));
  unsetenv("VEDETTE_TEST_SECRET");
  unsetenv("VEDETTE_TEST_PROTOCOL");
}

TEST(KafkaExporterTest, BrokersAndTopicsAreChecked) {
  KafkaOptions options = Nowhere();
  options.brokers.clear();
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.brokers: is empty"));
  options.brokers = {"a:1,b:2"};
  EXPECT_THAT(Refusal(options), HasSubstr("write each as HOST:PORT"));
  options = Nowhere();
  options.topic = "a b";
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.topic: \"a b\" is not a topic's name"));
  options = Nowhere();
  options.ledger_topic = std::string(250, 'a');
  EXPECT_THAT(Refusal(options), HasSubstr("sinks.kafka.ledger_topic"));
}

TEST(KafkaExporterTest, ABrokerThatIsNotThereIsUnavailableInOneSentence) {
  auto exporter = KafkaExporter::Create(Nowhere());
  ASSERT_TRUE(exporter.ok()) << exporter.status();
  ContractAnswers answers(1);
  pb::Event event;
  event.set_key("host/a");
  event.mutable_finding();
  (*exporter)->Export({event, event}, answers.Slot(0));
  ASSERT_TRUE(answers.WaitForAll(absl::Seconds(20)));
  const absl::Status status = answers.Of(0)[0];
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("Kafka at 127.0.0.1:1 cannot be reached: "),
                    HasSubstr("sinks.kafka.brokers")));
  EXPECT_TRUE((*exporter)->Shutdown(Deadline::In(absl::Seconds(5))).ok());
  EXPECT_EQ(answers.Of(0).size(), 1u);
}

TEST(KafkaExporterTest, ABatchDoesNotLingerForEventsThatCannotCome) {
  KafkaOptions options = Nowhere();
  options.options = {{"test.mock.num.brokers", "1"}, {"linger.ms", "20000"}};
  options.options["message.timeout.ms"] = "60000";
  auto exporter = KafkaExporter::Create(options);
  ASSERT_TRUE(exporter.ok()) << exporter.status();
  pb::Event event;
  event.set_key("host/a");
  event.mutable_finding();
  ContractAnswers answers(3);
  for (size_t batch = 0; batch < 3; ++batch) {
    (*exporter)->Export({event, event}, answers.Slot(batch));
  }
  ASSERT_TRUE(answers.WaitForAll(absl::Seconds(10)));
  for (size_t batch = 0; batch < 3; ++batch) {
    EXPECT_EQ(answers.Of(batch), std::vector<absl::Status>{absl::OkStatus()});
  }
  EXPECT_TRUE((*exporter)->Shutdown(Deadline::In(absl::Seconds(5))).ok());
}

TEST(KafkaExporterTest, ShutdownAnswersWhatIsUnderWayAtItsDeadline) {
  KafkaOptions options = Nowhere();
  options.options["message.timeout.ms"] = "60000";
  auto exporter = KafkaExporter::Create(options);
  ASSERT_TRUE(exporter.ok()) << exporter.status();
  ContractAnswers answers(2);
  pb::Event event;
  event.mutable_finding();
  (*exporter)->Export({event}, answers.Slot(0));
  const absl::Time start = absl::Now();
  EXPECT_EQ((*exporter)->Shutdown(Deadline::In(absl::Milliseconds(100))).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  (*exporter)->Export({event}, answers.Slot(1));
  ASSERT_TRUE(answers.WaitForAll(absl::ZeroDuration()));
  EXPECT_TRUE(absl::IsUnavailable(answers.Of(0)[0]));
  EXPECT_TRUE(absl::IsUnavailable(answers.Of(1)[0]));
}

}  // namespace
}  // namespace vedette
