// SPDX-License-Identifier: Apache-2.0
// Secrets of command lines stay on the node: planted ones are searched for, as bytes, in all that
// the agent writes, shows and sends.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kBound = absl::Seconds(60);
constexpr char kTopic[] = "vedette.findings";
// Part of every planted secret and of nothing else.
constexpr char kMark[] = "Zq7hunter";

// A program's name and its arguments. One program each: an execution is told once per program.
const std::vector<std::vector<std::string>>& Planted() {
  static const std::vector<std::vector<std::string>> planted = {
      {"opt", "--password", "Zq7hunter1", "--db-token=Zq7hunter2", "--verbose"},
      {"mysql", "-uroot", "-pZq7hunter3", "db"},
      {"curl", "-u", "me:Zq7hunter4", "-H", "Authorization: Bearer Zq7hunter5"},
      {"url", "https://me:Zq7hunter6@h/x?access_token=Zq7hunter7&page=2"},
      {"env", "AWS_SECRET_ACCESS_KEY=Zq7hunter8", "A=b"},
      {"json", R"({"user":"me","password":"Zq7hunter9"})"},
      {"pem", "-----BEGIN PRIVATE KEY-----\nZq7hunter0\n-----END PRIVATE KEY-----"},
      {"shape", "ghp_Zq7hunter0123456789abcdefghijklmnop"},
      {"own", "badge Zq7hunter-000001"},
      {"bytes", "--password=\xff\xfeZq7hunter\x1b[31m"},
      {"bash", "-c", "cd / && PGPASSWORD='Zq7hunter a' psql --token \"Zq7hunter b\" -f x"},
      // The kernel's copy ends in the middle of the secret.
      {"cut", "--note", std::string(4000, 'n'),
       "x:" + std::string(8, 'y') + "Zq7hunter" + std::string(4000, 'z') + "@host"},
  };
  return planted;
}

class AgentRedactTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto broker = KafkaBroker::Create({});
    ASSERT_TRUE(broker.ok()) << broker.status();
    broker_ = *std::move(broker);
    ASSERT_TRUE(broker_->CreateTopic(kTopic, 1).ok());
    ASSERT_TRUE(broker_->CreateTopic("vedette.ledger", 1).ok());
    agent_.SetSinks(fmt::format(
        "sinks:\n  - jsonl: {{ path: {} }}\n  - kafka: {{ brokers: [\"{}\"], librdkafka: {{ "
        "topic.metadata.propagation.max.ms: 500 }} }}\nlog: {{ level: debug }}\n",
        agent_.jsonl_path(), broker_->address()));
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
  }

  // Learns, deviates with the planted command lines while somebody watches the events, and waits
  // until the findings are in every place. Fills what was seen.
  void Deviate(const std::string& config) {
    agent_.SetConfig(config);
    const absl::Status started = agent_.Start();
    ASSERT_TRUE(started.ok()) << started;
    ASSERT_TRUE(cgroup_->Run({VEDETTE_ACTOR_PATH, "spawn:1"}).ok());
    agent_.FreezeOnce(workload_, "vedette_actor", 2);
    auto events = Child::Spawn({VEDETTE_BINARY, "events", "--output", "json", "--workload",
                                workload_, "--socket", agent_.socket()});
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_TRUE(WaitFor([&] {  // Until the tap is open.
      return cgroup_->Run({VEDETTE_ACTOR_PATH, "spawn:1"}).ok() &&
             events->ReadLine(absl::Milliseconds(200)).ok();
    }));
    for (std::vector<std::string> argv : Planted()) {
      argv[0] = programs_ / argv[0];
      ASSERT_TRUE(WriteProgram(argv[0], argv[0]));
      const auto result = cgroup_->Run(argv);
      ASSERT_TRUE(result.ok() && result->exit_code == 0) << argv[0] << result.status();
    }
    ASSERT_TRUE(WaitFor([&] { return agent_.Findings(workload_).size() == Planted().size(); }));
    ASSERT_TRUE(WaitFor([&] { return Topic().size() >= Planted().size(); }, kBound));
    seen_["topic"] = Joined(Topic());
    std::set<std::string> shown;
    while (shown.size() < Planted().size()) {
      auto line = events->ReadLine();
      ASSERT_TRUE(line.ok()) << line.status() << shown.size();
      seen_["vedette events"] += *line + "\n";
      const Json event = Json::parse(*line);
      const std::string path = event.value("path", "");
      if (event.value("kind", "") == "exec" && path.starts_with(programs_.path())) {
        shown.insert(path);
      }
    }
    seen_["vedette finding list"] = agent_.Cli({"finding", "list", "--output", "json"}).out;
    for (const Json& finding : agent_.Findings(workload_)) {
      const std::string uid = finding["uid"];
      seen_["vedette finding show"] += agent_.Cli({"finding", "show", uid}).out;
      seen_["vedette finding show"] += agent_.Cli({"finding", "show", uid, "-o", "json"}).out;
    }
    seen_["vedette profile show"] = agent_.Cli({"profile", "show", workload_, "-o", "json"}).out;
    seen_["vedette doctor"] = agent_.Cli({"doctor", "-o", "json"}).out;
    SeeFiles("running");
    ASSERT_TRUE(agent_.Stop().ok());
    SeeFiles("stopped");
  }

  std::vector<KafkaMessage> Topic() {
    auto messages = ReadTopic(broker_->address(), kTopic);
    std::vector<KafkaMessage> own = messages.value_or(std::vector<KafkaMessage>());
    std::erase_if(own, [this](const KafkaMessage& message) { return message.key != workload_; });
    return own;
  }
  static std::string Joined(const std::vector<KafkaMessage>& messages) {
    std::string text;
    for (const KafkaMessage& message : messages) {
      text += message.value + "\n";
      for (const auto& [name, value] : message.headers) {
        text += name + value + "\n";
      }
    }
    return text;
  }
  // The store with its log, the spool in it, the file of findings, what the agent logged.
  void SeeFiles(const std::string& when) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(agent_.dir())) {
      if (entry.is_regular_file() && entry.path() != agent_.config_path()) {
        seen_[fmt::format("{} ({})", entry.path().string(), when)] = ReadFile(entry.path());
      }
    }
  }

  std::unique_ptr<KafkaBroker> broker_;
  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  TempDir programs_{"vedette-programs"};
  std::map<std::string, std::string> seen_;  // Where → all bytes that are there.
};

TEST_F(AgentRedactTest, PlantedSecretsAreNowhere) {
  Deviate("capture: { redact: ['badge (\\S+)'] }");
  EXPECT_GE(seen_.size(), 10u);
  size_t databases = 0;
  for (const auto& [place, bytes] : seen_) {
    EXPECT_FALSE(bytes.empty() && place.find("vedette ") == 0) << place;
    EXPECT_EQ(bytes.find(kMark), bytes.npos) << place;
    databases += place.find(".db") != place.npos;
  }
  EXPECT_GE(databases, 2u);  // With its write-ahead log.
  // The findings themselves are everywhere they belong.
  for (const char* place : {"topic", "vedette events", "vedette finding show"}) {
    EXPECT_THAT(seen_[place], HasSubstr("[redacted]")) << place;
    EXPECT_THAT(seen_[place], HasSubstr("/mysql")) << place;
    EXPECT_THAT(seen_[place], HasSubstr("-p[redacted]")) << place;
    EXPECT_THAT(seen_[place], HasSubstr("me:[redacted]")) << place;
    EXPECT_THAT(seen_[place], HasSubstr("access_token=[redacted]&page=2")) << place;
    EXPECT_THAT(seen_[place], HasSubstr("badge [redacted]")) << place;
  }
  EXPECT_THAT(ReadFile(agent_.jsonl_path()), HasSubstr("AWS_SECRET_ACCESS_KEY=[redacted]"));
  EXPECT_THAT(seen_["vedette doctor"], HasSubstr("\"redaction\""));
}

// The search finds what is there: else it would prove nothing.
TEST_F(AgentRedactTest, WithEverythingCapturedTheSameSearchFindsThem) {
  Deviate("capture: { argv: full }");
  std::string stores;
  for (const auto& [place, bytes] : seen_) {
    stores += place.find(".db") != place.npos ? bytes : "";
  }
  EXPECT_THAT(stores, HasSubstr(kMark));
  for (const char* place : {"topic", "vedette events", "vedette finding show"}) {
    EXPECT_THAT(seen_[place], HasSubstr(kMark)) << place;
  }
  EXPECT_THAT(ReadFile(agent_.jsonl_path()), HasSubstr(kMark));
}

}  // namespace
}  // namespace vedette::testing
