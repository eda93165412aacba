// SPDX-License-Identifier: Apache-2.0
// The agent as a process with a Kafka that demands a login: what it shows of its secrets, which is
// nothing, and what it takes to mend a wrong one, which is no restart.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/agent/agent_process.h"
#include "tests/support/kafka/kafka_admin.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"
#include "tests/support/kafka/test_certificates.h"

namespace vedette::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr absl::Duration kBound = absl::Seconds(60);
constexpr char kUser[] = "vedette";
constexpr char kPassword[] = "planted-secret-good";
constexpr char kWrongPassword[] = "planted-secret-wrong";
constexpr char kPlanted[] = "planted-secret";

class AgentKafkaSecureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ca_ = TestCa::Create("Vedette test authority").value();
    KafkaBrokerOptions options;
    options.certificate = ca_->Issue({}).value();
    options.users = {{kUser, kPassword}};
    auto broker = KafkaBroker::Create(options);
    ASSERT_TRUE(broker.ok()) << broker.status();
    broker_ = *std::move(broker);
    ASSERT_TRUE(WriteFile(files_ / "ca.pem", ca_->pem()));
    agent_.SetConfig("log: { level: debug }\n");
  }
  void SetPassword(const std::string& value) {
    agent_.SetSinks(fmt::format(
        "sinks:\n  - kafka:\n      brokers: [\"{}\"]\n      create_topics: on\n      librdkafka:\n"
        "        security.protocol: sasl_ssl\n        sasl.mechanism: PLAIN\n"
        "        sasl.username: {}\n        sasl.password: {}\n        ssl.ca.location: {}\n"
        "        message.timeout.ms: 2000\n        debug: all\n",
        broker_->address(), kUser, value, files_ / "ca.pem"));
  }
  Json Sink() {
    const Json doctor = agent_.Doctor();
    return doctor.value("sinks", Json::array({Json::object()}))[0];
  }
  bool WaitForState(const std::string& state) {
    return WaitFor([&] { return Sink().value("state", "") == state; }, kBound);
  }
  // Everything that a person or a program can get to see of the agent, and what it stores.
  void ExpectNoSecretAnywhere() {
    EXPECT_THAT(agent_.Log(), Not(HasSubstr(kPlanted)));
    EXPECT_THAT(agent_.Doctor().dump(), Not(HasSubstr(kPlanted)));
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"doctor"}, {"doctor", "--json"}, {"finding", "list"}}) {
      const ChildResult shown = agent_.Cli(command);
      EXPECT_THAT(shown.out + shown.err, Not(HasSubstr(kPlanted)));
    }
    const auto checked =
        Child::Run({VEDETTE_BINARY, "run", "--check-config", "--config", agent_.config_path()});
    ASSERT_TRUE(checked.ok()) << checked.status();
    EXPECT_THAT(checked->out + checked->err, Not(HasSubstr(kPlanted)));
    int files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(agent_.store_dir())) {
      if (entry.is_regular_file()) {
        EXPECT_THAT(ReadFile(entry.path()), Not(HasSubstr(kPlanted))) << entry.path();
        ++files;
      }
    }
    EXPECT_GT(files, 0);
  }

  std::unique_ptr<TestCa> ca_;
  std::unique_ptr<KafkaBroker> broker_;
  TempDir files_{"vedette-kafka-secrets"};
  AgentProcess agent_;
};

TEST_F(AgentKafkaSecureTest, SecretsAppearNowhereAndANewPasswordNeedsNoRestart) {
  const std::string password = files_ / "password";
  ASSERT_TRUE(WriteFile(password, kWrongPassword));
  KafkaAdmin admin(broker_->admin_address());
  for (const char* topic : {"vedette.findings", "vedette.ledger"}) {
    ASSERT_TRUE(admin.Grant({KafkaGrant::What::kWrite, kUser, topic}).ok());
    ASSERT_TRUE(admin.Grant({KafkaGrant::What::kCreate, kUser, topic}).ok());
  }
  SetPassword(fmt::format("{{ file: {} }}", password));
  const absl::Status started = agent_.Start();
  ASSERT_TRUE(started.ok()) << started;
  // The first ledger record is made at the start.
  ASSERT_TRUE(WaitForState("degraded")) << Sink().dump();
  ASSERT_TRUE(WaitFor(
      [this] {
        return Sink()["reason"].get<std::string>().find(
                   "refuses the login of the user \"vedette\"") != std::string::npos;
      },
      kBound))
      << Sink().dump();
  EXPECT_THAT(agent_.Log(), HasSubstr("librdkafka: "));
  ExpectNoSecretAnywhere();

  ASSERT_TRUE(WriteFile(password, std::string(kPassword) + "\n"));
  ASSERT_TRUE(WaitForState("ok")) << Sink().dump();
  ASSERT_TRUE(WaitFor([this] { return Sink()["waiting"] == 0; }, kBound)) << Sink().dump();
  EXPECT_GT(Sink()["delivered"], 0);
  ExpectNoSecretAnywhere();
  const auto ledgers = ReadTopic(broker_->admin_address(), "vedette.ledger");
  ASSERT_TRUE(ledgers.ok()) << ledgers.status();
  EXPECT_FALSE(ledgers->empty());
}

TEST_F(AgentKafkaSecureTest, ASecretInTheConfigurationIsRefusedInOneSentence) {
  SetPassword(kPassword);
  const auto result = agent_.RunToEnd();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 1);
  EXPECT_THAT(result->err,
              HasSubstr("sinks.kafka.librdkafka.sasl.password: is a secret and cannot stand in the "
                        "configuration; write { file: /path } or { env: NAME }"));
  EXPECT_THAT(result->err, Not(HasSubstr(kPlanted)));
  const auto checked =
      Child::Run({VEDETTE_BINARY, "run", "--check-config", "--config", agent_.config_path()});
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->exit_code, 1);
  EXPECT_THAT(checked->out + checked->err, Not(HasSubstr(kPlanted)));
}

}  // namespace
}  // namespace vedette::testing
