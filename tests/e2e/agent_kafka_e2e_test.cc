// SPDX-License-Identifier: Apache-2.0
// The whole way, from an act in a cgroup to a record in a real Apache Kafka, through kills of both.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/events/record_errors.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kBound = absl::Seconds(60);
constexpr char kTopic[] = "vedette.findings";
constexpr char kLedgerTopic[] = "vedette.ledger";

class AgentKafkaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto broker = KafkaBroker::Create({.log_append_time = true});
    ASSERT_TRUE(broker.ok()) << broker.status();
    broker_ = *std::move(broker);
    auto cgroup = ScopedCgroup::Create();
    ASSERT_TRUE(cgroup.ok()) << cgroup.status();
    cgroup_.emplace(*std::move(cgroup));
    workload_ = WorkloadOf(*cgroup_);
    agent_.SetSinks(fmt::format(
        "sinks:\n  - kafka: {{ brokers: [\"{}\"], librdkafka: {{ message.timeout.ms: 3000, "
        "reconnect.backoff.max.ms: 500, topic.metadata.propagation.max.ms: 500 }} }}\n",
        broker_->address()));
  }
  void MakeTopics() {
    ASSERT_TRUE(broker_->CreateTopic(kTopic, 3).ok());
    ASSERT_TRUE(broker_->CreateTopic(kLedgerTopic, 1).ok());
  }
  void StartFrozen() {
    const absl::Status started = agent_.Start();
    ASSERT_TRUE(started.ok()) << started;
    ASSERT_TRUE(cgroup_->Run({VEDETTE_ACTOR_PATH, "spawn:1"}).ok());
    agent_.FreezeOnce(workload_, "vedette_actor", 2);
  }
  // New programs that the workload executes, once each.
  std::vector<std::string> MakePrograms(const std::string& prefix, int count) {
    std::vector<std::string> paths;
    for (int i = 0; i < count; ++i) {
      paths.push_back(programs_ / fmt::format("{}-{:03}", prefix, i));
      EXPECT_TRUE(WriteProgram(paths.back(), paths.back()));
    }
    return paths;
  }
  void Deviate(const std::string& prefix, int count) {
    std::vector<std::string> argv = {VEDETTE_ACTOR_PATH};
    for (const std::string& path : MakePrograms(prefix, count)) {
      argv.push_back("spawn:1:" + path);
    }
    const auto result = cgroup_->Run(argv);
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status();
  }
  Json Sink() {
    const Json doctor = agent_.Doctor();
    for (const Json& sink : doctor.value("sinks", Json::array())) {
      return sink;
    }
    return Json::object();
  }
  // Of this test's workload: other tests of this machine are watched as well.
  std::vector<KafkaMessage> Topic() {
    auto messages = ReadTopic(broker_->address(), kTopic);
    EXPECT_TRUE(messages.ok()) << messages.status();
    std::vector<KafkaMessage> own = messages.value_or(std::vector<KafkaMessage>());
    std::erase_if(own, [this](const KafkaMessage& message) { return message.key != workload_; });
    return own;
  }
  bool WaitUntilDelivered(size_t findings) {
    return WaitFor(
        [this, findings] {
          const Json sink = Sink();
          return agent_.Findings(workload_).size() >= findings && sink["waiting"] == 0 &&
                 sink["state"] == "ok";
        },
        kBound);
  }
  void ExpectValid(const std::vector<KafkaMessage>& messages) {
    for (const KafkaMessage& message : messages) {
      EXPECT_THAT(RecordErrors(message.value), IsEmpty()) << message.value;
    }
  }

  std::unique_ptr<KafkaBroker> broker_;
  AgentProcess agent_;
  std::optional<ScopedCgroup> cgroup_;
  std::string workload_;
  TempDir programs_{"vedette-programs"};
};

TEST_F(AgentKafkaTest, EveryAcceptedFindingArrivesThroughKillsOfAgentAndBroker) {
  constexpr int kEach = 25;
  MakeTopics();
  StartFrozen();
  Deviate("up", kEach);
  ASSERT_TRUE(WaitFor([this] { return Sink().value("delivered", 0) >= kEach; }, kBound));
  broker_->Kill();
  Deviate("down", kEach);
  ASSERT_TRUE(WaitFor([this] { return Sink().value("state", "") == "degraded"; }, kBound));
  EXPECT_THAT(Sink()["reason"].get<std::string>(), HasSubstr(broker_->address()));
  agent_.Kill();
  Deviate("nobody", kEach);  // Neither agent nor broker.
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  ASSERT_TRUE(WaitFor([this] { return agent_.Findings(workload_).size() == 3 * kEach; }));
  ASSERT_TRUE(broker_->Start().ok());
  Deviate("back", kEach);
  agent_.Kill();  // In the midst of delivering what had waited.
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  ASSERT_TRUE(WaitUntilDelivered(4 * kEach)) << Sink().dump();
  EXPECT_EQ(agent_.Findings(workload_).size(), 4u * kEach);

  std::set<std::string> accepted;
  for (const Json& finding : agent_.Findings(workload_)) {
    EXPECT_EQ(finding["count"], 1);
    accepted.insert(finding["uid"]);
  }
  const std::vector<KafkaMessage> messages = Topic();
  std::map<std::string, std::set<std::string>> events_of;  // Finding → uids of its events.
  for (const KafkaMessage& message : messages) {
    const Json event = Json::parse(message.value);
    events_of[event["finding_info"]["uid"]].insert(message.headers.at("event-uid"));
  }
  for (const std::string& uid : accepted) {
    ASSERT_TRUE(events_of.contains(uid)) << uid;
    EXPECT_EQ(events_of[uid].size(), 1u) << "copies share the id";
  }
  EXPECT_EQ(events_of.size(), accepted.size());
  ExpectValid(messages);
  fmt::print("{} findings, {} records in the topic\n", accepted.size(), messages.size());
}

TEST_F(AgentKafkaTest, ATopicThatIsMissingIsNamedAndServedOnceItIsThere) {
  StartFrozen();
  Deviate("early", 3);
  ASSERT_TRUE(WaitFor([this] { return Sink().value("state", "") == "degraded"; }, kBound));
  EXPECT_THAT(Sink()["reason"].get<std::string>(),
              AllOf(HasSubstr("Kafka topic vedette."),  // Either of the two.
                    HasSubstr("does not exist"), HasSubstr("create it")));
  MakeTopics();
  ASSERT_TRUE(WaitUntilDelivered(3)) << Sink().dump();
  EXPECT_EQ(Topic().size(), 3u);
}

// For how long the broker is away: as long as VEDETTE_AWAY says ("10m"), else as short as can be.
absl::Duration AwayTime() {
  const char* text = std::getenv("VEDETTE_AWAY");
  absl::Duration duration;
  EXPECT_TRUE(text == nullptr || absl::ParseDuration(text, &duration))
      << "VEDETTE_AWAY=" << text << ": write a duration such as 10m";
  return duration;
}

TEST_F(AgentKafkaTest, ABrokerThatIsAwayTakesNoMemory) {
  constexpr int kPrograms = 256;  // As many deviations as a profile tells apart.
  constexpr uint64_t kMostBytes = 64'000'000;
  constexpr absl::Duration kEach = absl::Seconds(25);
  const absl::Time start = absl::Now();
  const int workloads = std::max(8, static_cast<int>(AwayTime() / kEach));
  MakeTopics();
  StartFrozen();
  broker_->Kill();
  MakePrograms("away", kPrograms);
  std::vector<ScopedCgroup> services;
  uint64_t most = 0;
  for (int i = 0; i < workloads; ++i) {
    if (AwayTime() > absl::ZeroDuration()) {
      LetPass(std::max(start + i * kEach - absl::Now(), absl::ZeroDuration()));
    }
    most = std::max<uint64_t>(most, agent_.Doctor()["memory"]["resident_bytes"]);
    services.push_back(ScopedCgroup::Create().value());
    const ScopedCgroup& service = services.back();
    ASSERT_TRUE(service.Run({VEDETTE_ACTOR_PATH, "spawn:1"}).ok());
    agent_.FreezeOnce(WorkloadOf(service), "vedette_actor", 2);
    const auto acts = service.Run({VEDETTE_ACTOR_PATH, "spawn-each:" + programs_.path()});
    ASSERT_TRUE(acts.ok() && acts->exit_code == 0) << acts.status();
  }
  EXPECT_TRUE(WaitFor(
      [&] {
        most = std::max<uint64_t>(most, agent_.Doctor()["memory"]["resident_bytes"]);
        return Sink().value("waiting", 0) >= workloads * kPrograms;
      },
      kBound))
      << Sink().dump();
  EXPECT_LE(most, kMostBytes);
  const absl::Time back = absl::Now();
  ASSERT_TRUE(broker_->Start().ok());
  ASSERT_TRUE(WaitFor([this] { return Sink()["waiting"] == 0; }, kBound)) << Sink().dump();
  EXPECT_LE(agent_.Doctor()["memory"]["resident_bytes"], kMostBytes);
  fmt::print("{} findings waited for {}; resident at most {:.1f} MB\n", workloads * kPrograms,
             absl::FormatDuration(back - start), static_cast<double>(most) / 1e6);
}

TEST_F(AgentKafkaTest, FromTheActToTheBrokerTakesMilliseconds) {
  constexpr int kActs = 240;
  constexpr int64_t kPollMs = 50;  // collect.poll's default.
  MakeTopics();
  StartFrozen();
  const std::vector<std::string> programs = MakePrograms("timed", kActs);
  std::vector<std::string> argv = {VEDETTE_ACTOR_PATH};
  for (const std::string& path : programs) {
    argv.insert(argv.end(), {"wait", "spawn:1:" + path});
  }
  auto actor = cgroup_->Spawn(argv);
  ASSERT_TRUE(actor.ok()) << actor.status();
  std::map<std::string, absl::Time> acted;
  for (int i = 0; i < kActs; ++i) {
    ASSERT_TRUE(actor->ReadLine().ok());
    LetPass(absl::Milliseconds(20 + (i * 7) % 41));  // At any phase of the poll.
    acted[programs[static_cast<size_t>(i)]] = absl::Now();
    ASSERT_TRUE(actor->Write("\n"));
    ASSERT_TRUE(actor->ReadLine().ok());
  }
  ASSERT_TRUE(WaitUntilDelivered(kActs)) << Sink().dump();
  std::vector<int64_t> latencies;
  const std::vector<KafkaMessage> messages = Topic();
  for (const KafkaMessage& message : messages) {
    const std::string path = Json::parse(message.value)["evidences"][0]["process"]["file"]["path"];
    ASSERT_TRUE(acted.contains(path)) << path;
    latencies.push_back(message.timestamp_ms - absl::ToUnixMillis(acted[path]));
  }
  ASSERT_EQ(latencies.size(), static_cast<size_t>(kActs));
  std::sort(latencies.begin(), latencies.end());
  const int64_t p50 = latencies[kActs / 2], p99 = latencies[kActs * 99 / 100];
  fmt::print(
      "act to the broker's append, {} acts: p50 {} ms, p99 {} ms, most {} ms; the poll "
      "interval is {} ms\n",
      kActs, p50, p99, latencies.back(), kPollMs);
  RecordProperty("p50_ms", static_cast<int>(p50));
  RecordProperty("p99_ms", static_cast<int>(p99));
  EXPECT_GE(latencies.front(), 0);
  EXPECT_LT(p99, 1000);
  ExpectValid(messages);
}

TEST_F(AgentKafkaTest, WhatTheAgentItselfDoesMakesNoLoop) {
  MakeTopics();
  auto own = ScopedCgroup::Create();
  ASSERT_TRUE(own.ok()) << own.status();
  agent_.SetCgroup(own->fd());
  StartFrozen();
  Deviate("quiet", 3);
  ASSERT_TRUE(WaitFor([&] { return Topic().size() >= 3; }, kBound));
  EXPECT_LE(agent_.RecordsPerSecond(WorkloadOf(*own), absl::Seconds(20)), 1.0);
  broker_->Kill();
  EXPECT_LE(agent_.RecordsPerSecond(WorkloadOf(*own), absl::Seconds(20)), 1.0) << "it is away";
  agent_.Kill();
}

}  // namespace
}  // namespace vedette::testing
