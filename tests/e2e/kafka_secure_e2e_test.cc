// SPDX-License-Identifier: Apache-2.0
// A real Apache Kafka as it is in production: TLS, logins and ACLs. Whatever is refused is one
// sentence, and what was accepted waits in the spool until the reason is gone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <sstream>

#include "tests/e2e/kafka_delivery.h"
#include "tests/support/kafka/kafka_admin.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"
#include "tests/support/kafka/test_certificates.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kUser[] = "vedette";
constexpr char kPassword[] = "planted-secret-of-vedette";
constexpr char kWrongPassword[] = "planted-secret-that-is-wrong";
constexpr int kCount = 50;

// One authority and one broker for all tests; none of them stops it for good.
struct Cluster {
  std::unique_ptr<TestCa> ca;
  std::unique_ptr<KafkaBroker> broker;
};

Cluster& Shared() {
  static auto* cluster = new Cluster();
  return *cluster;
}

KafkaBrokerOptions SecureBroker() {
  KafkaBrokerOptions options;
  options.certificate = Shared().ca->Issue({}).value();
  options.users = {{kUser, kPassword}};
  return options;
}

class ClusterEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override {
    auto ca = TestCa::Create("Vedette test authority");
    ASSERT_TRUE(ca.ok()) << ca.status();
    Shared().ca = *std::move(ca);
    auto broker = KafkaBroker::Create(SecureBroker());
    ASSERT_TRUE(broker.ok()) << broker.status();
    Shared().broker = *std::move(broker);
  }
  void TearDown() override { Shared().broker.reset(); }
};

// What the process logs meanwhile, down to librdkafka's own lines.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("captured", std::move(sink));
    logger->set_level(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

class KafkaSecureTest : public KafkaDeliveryTest {
 protected:
  KafkaSecureTest() {
    static std::atomic<int> number = 0;
    topic_ = fmt::format("secure-{}", ++number);
    EXPECT_TRUE(testing::WriteFile(password_file(), std::string(kPassword) + "\n"));
    EXPECT_TRUE(testing::WriteFile(ca_file(), Shared().ca->pem()));
  }
  ~KafkaSecureTest() override { delivery_.reset(); }

  std::string password_file() const { return dir_ / "password"; }
  std::string ca_file() const { return dir_ / "ca.pem"; }
  virtual KafkaBroker& broker() const { return *Shared().broker; }
  const std::string& address() const { return broker().address(); }

  KafkaOptions Options() const {
    KafkaOptions options;
    options.brokers = {address()};
    options.topic = topic_;
    options.ledger_topic = topic_;
    options.options = {
        {"security.protocol", "sasl_ssl"}, {"sasl.mechanism", "PLAIN"},
        {"sasl.username", kUser},          {"ssl.ca.location", ca_file()},
        {"debug", "security,broker"},      {"topic.metadata.propagation.max.ms", "500"},
        {"message.timeout.ms", "2000"}};
    options.secrets = {{"sasl.password", {SecretSource::From::kFile, password_file()}}};
    return options;
  }
  void MakeTopic() { ASSERT_TRUE(broker().CreateTopic(topic_, 3).ok()); }
  void Grant(KafkaGrant::What what) {
    const absl::Status status = KafkaAdmin(broker().admin_address()).Grant({what, kUser, topic_});
    ASSERT_TRUE(status.ok()) << status;
  }
  // The sentence of the first failure; everything still waits.
  std::string Failure() {
    EXPECT_TRUE(log_.WaitForFailures(1, kBound));
    EXPECT_TRUE(absl::IsUnavailable(log_.last_failure()));
    EXPECT_EQ(Account().lag(), static_cast<uint64_t>(kCount));
    const std::string message(log_.last_failure().message());
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return message;
  }
  void ExpectAllDelivered() {
    ASSERT_TRUE(log_.WaitForDelivered(kCount, kBound)) << log_.last_failure();
    ExpectAllInOrder(broker().admin_address(), topic_, kCount);
    const absl::Status read =
        ReadEach(broker().admin_address(), topic_, [](const KafkaMessage& message) {
          EXPECT_THAT(message.value, Not(HasSubstr("planted-secret")));
        });
    EXPECT_TRUE(read.ok()) << read;
  }

  std::string topic_;
};

// Debian 12's librdkafka, which repeats its nonce. With 2.6.1 or newer this fails: then Kafka 4
// belongs to KafkaScramTest too.
TEST_F(KafkaSecureTest, WithScramAtKafka4TheSentenceNamesTheLibrary) {
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  KafkaOptions options = Options();
  options.options["sasl.mechanism"] = "SCRAM-SHA-512";
  StartDelivery(options);
  Append(Findings(0, kCount));
  EXPECT_THAT(Failure(), HasSubstr("can log in with SCRAM at Kafka below 4 only"));
}

TEST_F(KafkaSecureTest, LogsInOverTlsAndWritesByItsAcl) {
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  StartDelivery(Options());
  Append(Findings(0, kCount));
  ExpectAllDelivered();
}

TEST_F(KafkaSecureTest, AWrongPasswordIsASentenceAndTheNextOneNeedsNoRestart) {
  const CapturedLog log;
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  ASSERT_TRUE(testing::WriteFile(password_file(), kWrongPassword));
  StartDelivery(Options());
  Append(Findings(0, kCount));
  const std::string failure = Failure();
  EXPECT_THAT(failure,
              AllOf(StartsWith(fmt::format("Kafka at {} refuses the login of the user \"vedette\": "
                                           "SASL authentication error: ",
                                           address())),
                    HasSubstr("; correct sasl.username"), HasSubstr("sinks.kafka.librdkafka")));
  ASSERT_TRUE(testing::WriteFile(password_file(), kPassword));
  ExpectAllDelivered();
  delivery_.reset();
  EXPECT_THAT(log.text(), AllOf(HasSubstr("refuses the login"), HasSubstr("librdkafka: "),
                                Not(HasSubstr("planted-secret"))));
}

TEST_F(KafkaSecureTest, AWrongAuthorityIsASentence) {
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  ASSERT_TRUE(testing::WriteFile(ca_file(), TestCa::Create("Somebody else").value()->pem()));
  StartDelivery(Options());
  Append(Findings(0, kCount));
  EXPECT_EQ(Failure(),
            fmt::format("Kafka at {} is not trusted: its certificate (CN=127.0.0.1) is not signed "
                        "by a CA that is known here; set sinks.kafka.librdkafka.ssl.ca.location "
                        "to the CA of the broker",
                        address()));
  ASSERT_TRUE(testing::WriteFile(ca_file(), Shared().ca->pem()));
  ExpectAllDelivered();
}

TEST_F(KafkaSecureTest, AnExpiredCertificateIsASentence) {
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  KafkaBroker& broker = *Shared().broker;
  const auto restart_with = [&broker](const TestCertificateOptions& options) {
    broker.Kill();
    ASSERT_TRUE(broker.SetCertificate(Shared().ca->Issue(options).value()).ok());
    const absl::Status status = broker.Start();
    ASSERT_TRUE(status.ok()) << status;
  };
  restart_with({.valid_until = -absl::Hours(1)});
  StartDelivery(Options());
  Append(Findings(0, kCount));
  EXPECT_THAT(Failure(),
              MatchesRegex(fmt::format("Kafka at {} is not trusted: its certificate "
                                       "\\(CN=127.0.0.1\\) expired on [A-Z][a-z]+ .* GMT; renew it "
                                       "on the broker",
                                       address())));
  restart_with({});
  ExpectAllDelivered();
}

TEST_F(KafkaSecureTest, ACertificateForAnotherNameIsASentence) {
  KafkaBroker& broker = *Shared().broker;
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  broker.Kill();
  ASSERT_TRUE(broker.SetCertificate(Shared().ca->Issue({.name = "kafka.example"}).value()).ok());
  ASSERT_TRUE(broker.Start().ok());
  StartDelivery(Options());
  Append(Findings(0, kCount));
  EXPECT_THAT(Failure(), HasSubstr("its certificate (CN=kafka.example) is for another name; name "
                                   "the broker in sinks.kafka.brokers as its certificate does"));
  broker.Kill();
  ASSERT_TRUE(broker.SetCertificate(Shared().ca->Issue({}).value()).ok());
  ASSERT_TRUE(broker.Start().ok());
  ExpectAllDelivered();
}

TEST_F(KafkaSecureTest, NoAclIsASentence) {
  MakeTopic();
  StartDelivery(Options());
  Append(Findings(0, kCount));
  EXPECT_THAT(Failure(),
              AllOf(StartsWith(fmt::format("Kafka at {} does not let the user \"vedette\" write to "
                                           "the topic {}: ",
                                           address(), topic_)),
                    HasSubstr("; add an ACL that allows it Write on this topic")));
  Grant(KafkaGrant::What::kWrite);
  ExpectAllDelivered();
}

TEST_F(KafkaSecureTest, WithoutTlsThereIsASentenceToo) {
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  KafkaOptions options = Options();
  options.options["security.protocol"] = "plaintext";
  StartDelivery(options);
  Append(Findings(0, kCount));
  EXPECT_THAT(Failure(), AllOf(StartsWith("Kafka at " + address() + " cannot be reached: "),
                               HasSubstr("security.protocol")));
}

TEST_F(KafkaSecureTest, TopicsAreCreatedWhereThatIsAskedForAndAllowed) {
  Grant(KafkaGrant::What::kWrite);
  KafkaOptions options = Options();
  options.create_topics = true;
  options.partitions = 5;
  options.replication = 1;
  StartDelivery(options);
  Append(Findings(0, kCount));
  const std::string refused =
      fmt::format("Kafka topic {} does not exist at {} and cannot be created: ", topic_, address());
  EXPECT_TRUE(testing::WaitFor(
      [&] { return std::string(log_.last_failure().message()).starts_with(refused); }, kBound))
      << log_.last_failure();
  EXPECT_THAT(Failure(),
              HasSubstr("; create it, or let the user \"vedette\" create it with an ACL"));
  Grant(KafkaGrant::What::kCreate);
  ExpectAllDelivered();
  int last = 0;
  ASSERT_TRUE(ReadEach(Shared().broker->admin_address(), topic_, [&last](const KafkaMessage& m) {
                last = std::max(last, m.partition);
              }).ok());
  EXPECT_GT(last, 2) << "the broker's own default is 3 partitions";
}

// Whoever may write but not create has the topic made by somebody else.
TEST_F(KafkaSecureTest, ATopicThatIsThereNeedsNoRightToCreate) {
  MakeTopic();
  Grant(KafkaGrant::What::kWrite);
  KafkaOptions options = Options();
  options.create_topics = true;
  StartDelivery(options);
  Append(Findings(0, kCount));
  ExpectAllDelivered();
  EXPECT_TRUE(log_.last_failure().ok()) << log_.last_failure();
}

TEST_F(KafkaSecureTest, AKeyThatDoesNotOpenIsASentenceWithoutItsPassword) {
  const std::string key = dir_ / "client.pem";
  ASSERT_TRUE(testing::WriteFile(key, Shared().ca->Issue({}).value()));
  setenv("VEDETTE_TEST_KEY", kWrongPassword, 1);
  KafkaOptions options = Options();
  options.options["ssl.certificate.location"] = key;
  options.secrets["ssl.key.pem"] = {SecretSource::From::kEnv, "VEDETTE_TEST_KEY"};
  const absl::Status refused = KafkaExporter::Create(options).status();
  EXPECT_THAT(std::string(refused.message()),
              AllOf(StartsWith("sinks.kafka.librdkafka"), Not(HasSubstr("planted-secret"))));
  unsetenv("VEDETTE_TEST_KEY");
  EXPECT_EQ(KafkaExporter::Create(options).status().message(),
            "sinks.kafka.librdkafka.ssl.key.pem: the variable VEDETTE_TEST_KEY of the environment "
            "is not set; set it for the agent");
}

// A broker that takes no login but SCRAM.
class KafkaScramTest : public KafkaSecureTest {
 protected:
  static void SetUpTestSuite() {
    KafkaBrokerOptions options = SecureBroker();
    options.version = kKafka3;
    options.mechanisms = "SCRAM-SHA-512";
    auto broker = KafkaBroker::Create(options);
    ASSERT_TRUE(broker.ok()) << broker.status();
    kafka3_ = broker->release();
  }
  static void TearDownTestSuite() {
    delete kafka3_;
    kafka3_ = nullptr;
  }
  void SetUp() override {
    ASSERT_NE(kafka3_, nullptr);
    MakeTopic();
  }
  KafkaBroker& broker() const override { return *kafka3_; }
  void StartScram() {
    KafkaOptions options = Options();
    options.options["sasl.mechanism"] = "SCRAM-SHA-512";
    StartDelivery(options);
    Append(Findings(0, kCount));
  }

  static KafkaBroker* kafka3_;
};

KafkaBroker* KafkaScramTest::kafka3_ = nullptr;

TEST_F(KafkaScramTest, LogsInAndWritesByItsAcl) {
  Grant(KafkaGrant::What::kWrite);
  StartScram();
  ExpectAllDelivered();
  EXPECT_TRUE(log_.last_failure().ok()) << log_.last_failure();
}

TEST_F(KafkaScramTest, AWrongPasswordIsASentenceAndTheNextOneNeedsNoRestart) {
  const CapturedLog log;
  Grant(KafkaGrant::What::kWrite);
  ASSERT_TRUE(testing::WriteFile(password_file(), kWrongPassword));
  StartScram();
  EXPECT_THAT(Failure(),
              AllOf(StartsWith(fmt::format(
                        "Kafka at {} refuses the login of the user \"vedette\": ", address())),
                    HasSubstr("; correct sasl.username or sasl.password in "
                              "sinks.kafka.librdkafka")));
  ASSERT_TRUE(testing::WriteFile(password_file(), kPassword));
  ExpectAllDelivered();
  delivery_.reset();
  EXPECT_THAT(log.text(), AllOf(HasSubstr("refuses the login"), Not(HasSubstr("planted-secret"))));
}

TEST_F(KafkaScramTest, NoAclIsASentence) {
  StartScram();
  EXPECT_THAT(Failure(),
              AllOf(StartsWith(fmt::format("Kafka at {} does not let the user \"vedette\" write to "
                                           "the topic {}: ",
                                           address(), topic_)),
                    HasSubstr("; add an ACL that allows it Write on this topic")));
  Grant(KafkaGrant::What::kWrite);
  ExpectAllDelivered();
}

[[maybe_unused]] const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new ClusterEnvironment);

}  // namespace
}  // namespace vedette
