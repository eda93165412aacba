// SPDX-License-Identifier: Apache-2.0
// deploy/siem/consume.py, as docs/siem.md shows it, against a real Apache Kafka with copies of
// records, records that were lost on the way, and records that the agent dropped and says so.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "agent/deliver/to_event.h"
#include "agent/health/report.h"
#include "tests/e2e/kafka_delivery.h"
#include "tests/support/child.h"
#include "tests/support/kafka/kafka_admin.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr char kTopic[] = "vedette.findings";
constexpr char kLedgerTopic[] = "vedette.ledger";
constexpr char kNode[] = "node-1";

struct Consumed {
  int exit_code = -1;
  std::vector<std::string> findings;  // Their event uids, in the order of arrival.
  std::vector<Json> notes;            // What the consumer says besides.
};

class SiemTest : public KafkaDeliveryTest {
 protected:
  void SetUp() override {
    auto broker = KafkaBroker::Create({});
    ASSERT_TRUE(broker.ok()) << broker.status();
    broker_ = *std::move(broker);
  }
  ~SiemTest() override { delivery_.reset(); }

  KafkaOptions Options() const {
    KafkaOptions options;
    options.brokers = {broker_->address()};
    options.topic = kTopic;
    options.ledger_topic = kLedgerTopic;
    options.options = {{"message.timeout.ms", "3000"},
                       {"topic.metadata.propagation.max.ms", "500"}};
    return options;
  }
  void MakeTopics() {
    ASSERT_TRUE(broker_->CreateTopic(kTopic, 3).ok());
    ASSERT_TRUE(broker_->CreateTopic(kLedgerTopic, 1).ok());
  }
  // What happened at the sink since the last ledger, as the agent tells it.
  pb::Event Ledger(const std::string& node = kNode) {
    const SinkAccount account = Account();
    LedgerEntry entry{.stage = "export", .counter = "kafka:vedette.findings"};
    entry.received = account.received;
    entry.delivered = account.delivered;
    entry.dropped.insert(account.dropped.begin(), account.dropped.end());
    pb::Event event = SampleLedgers()[0];
    *event.mutable_ledger() = LedgerBetween(told_, {entry}, {absl::Now(), absl::Now()});
    event.set_uid(fmt::format("ledger-{}", ++ledgers_));
    event.mutable_ledger()->set_uid(event.uid());
    event.set_node(node);
    told_ = {entry};
    return event;
  }
  void CloseStore() {
    delivery_->Stop(Deadline::In(kBound));
    delivery_.reset();
    db_.reset();
  }
  void OpenStore(const std::string& name) {
    db_ = SqliteDatabase::Open(dir_ / name).value();
    StartDelivery(Options());
  }
  bool WaitUntilIdle() {
    return testing::WaitFor([this] { return Account().lag() == 0; }, kBound);
  }
  Consumed Consume() {
    const char* xdg = std::getenv("XDG_CACHE_HOME");
    const std::string cache =
        xdg != nullptr && *xdg != '\0' ? xdg : std::string(std::getenv("HOME")) + "/.cache";
    const auto result = testing::Child::Run(
        {cache + "/vedette/python-e2e/bin/python", "deploy/siem/consume.py", "--brokers",
         broker_->address(), "--state", dir_ / "siem.db", "--once"},
        kBound);
    Consumed consumed;
    if (!result.ok()) {
      ADD_FAILURE() << result.status() << "; run ./run-tests or tests/e2e/fetch_python.sh";
      return consumed;
    }
    // librdkafka says there that retention took what it wanted to read.
    EXPECT_THAT(result->err, ::testing::Not(::testing::HasSubstr("Traceback")));
    consumed.exit_code = result->exit_code;
    std::istringstream lines(result->out);
    for (std::string line; std::getline(lines, line);) {
      Json json = Json::parse(line);
      if (json.contains("vedette")) {
        consumed.notes.push_back(json["vedette"]);
      } else {
        consumed.findings.push_back(json["metadata"]["uid"]);
      }
    }
    return consumed;
  }
  static std::set<std::string> Numbers(int first, int count) {
    std::set<std::string> numbers;
    for (int i = first; i < first + count; ++i) {
      numbers.insert(std::to_string(i));
    }
    return numbers;
  }
  static void ExpectFindings(const Consumed& consumed, const std::set<std::string>& expected) {
    const std::set<std::string> got(consumed.findings.begin(), consumed.findings.end());
    EXPECT_EQ(got, expected);
    EXPECT_EQ(got.size(), consumed.findings.size()) << "a copy came through";
  }

  std::unique_ptr<KafkaBroker> broker_;
  std::vector<LedgerEntry> told_;
  int ledgers_ = 0;
};

TEST_F(SiemTest, TheConsumerDropsCopiesAndNoticesGaps) {
  // Accepted while the topics are not there, so that the same spool can be delivered twice.
  StartDelivery(Options());
  Append({Ledger()});
  Append(Findings(0, 30));
  Append({Ledger()});
  CloseStore();
  std::filesystem::copy_file(dir_ / "vedette.db", dir_ / "again.db");
  MakeTopics();
  OpenStore("again.db");  // As after a crash before the spool was passed.
  ASSERT_TRUE(WaitUntilIdle()) << log_.last_failure();
  CloseStore();
  OpenStore("vedette.db");
  ASSERT_TRUE(WaitUntilIdle()) << log_.last_failure();
  ASSERT_GE(ReadTopic(broker_->address(), kTopic).value().size(), 60u);
  Consumed first = Consume();
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_TRUE(first.notes.empty()) << first.notes[0];
  ExpectFindings(first, Numbers(0, 30));

  // What the agent drops, it says itself: this record is too large in any form.
  std::vector<pb::Event> more = Findings(30, 20);
  more[7].mutable_finding()->set_profile_state(std::string(2'000'000, 'x'));
  Append(more);
  ASSERT_TRUE(WaitUntilIdle()) << log_.last_failure();
  Append({Ledger()});
  ASSERT_TRUE(WaitUntilIdle());
  Consumed second = Consume();
  EXPECT_EQ(second.exit_code, 1);
  ASSERT_EQ(second.notes.size(), 1u);
  EXPECT_EQ(second.notes[0]["kind"], "lost");
  EXPECT_EQ(second.notes[0]["reasons"], Json({{"rejected", 1}}));
  std::set<std::string> expected = Numbers(30, 20);
  expected.erase("37");
  ExpectFindings(second, expected);

  // What is lost on the way nobody says; here retention takes one partition before it is read.
  Append(Findings(50, 30));
  ASSERT_TRUE(WaitUntilIdle());
  int64_t end = 0;
  expected = Numbers(50, 30);
  size_t lost = 0;
  ASSERT_TRUE(ReadEach(broker_->address(), kTopic, [&](const KafkaMessage& message) {
                if (message.partition == 1) {
                  end = std::max(end, message.offset + 1);
                  lost += expected.erase(message.headers.at("event-uid"));
                }
              }).ok());
  ASSERT_GT(lost, 0u);
  ASSERT_TRUE(KafkaAdmin(broker_->address()).DeleteBefore(kTopic, 1, end).ok());
  Append({Ledger()});
  ASSERT_TRUE(WaitUntilIdle());
  Consumed third = Consume();
  EXPECT_EQ(third.exit_code, 1);
  ASSERT_EQ(third.notes.size(), 1u);
  EXPECT_EQ(third.notes[0]["kind"], "missing");
  EXPECT_EQ(third.notes[0]["node"], kNode);
  EXPECT_EQ(third.notes[0]["missing"], lost);
  ExpectFindings(third, expected);

  // Nothing new: nothing is said twice.
  Consumed last = Consume();
  EXPECT_EQ(last.exit_code, 0);
  EXPECT_TRUE(last.notes.empty() && last.findings.empty());
}

TEST_F(SiemTest, WhatHappensOnTwoNodesOrTwiceIsNoCopy) {
  MakeTopics();
  // Made as the agent makes it, so that what tells records apart is the agent's own.
  Finding finding;
  finding.uid = "8f6c1f0e-0000-8000-8000-000000000000";
  finding.workload.name = "host/nginx.service";
  finding.title = "New program in host/nginx.service: /usr/bin/curl";
  finding.first_seen = finding.last_seen = absl::FromUnixSeconds(1'780'000'100);
  Finding updated = finding;
  updated.count = 2;
  updated.change = Finding::Change::kUpdated;
  Finding again = finding;  // The store had forgotten it.
  again.first_seen = again.last_seen = finding.last_seen + absl::Hours(720);
  std::vector<std::string> expected;
  for (const std::string node : {"node-1", "node-2"}) {
    told_.clear();
    ledgers_ = 0;  // An agent before this one gave the same ids on every node.
    OpenStore(node + ".db");
    Append({Ledger(node)});
    std::vector<pb::Event> events;
    for (const Finding& record : {finding, updated, again}) {
      events.push_back(ToEvent({node, "boot-1", "0.1.0", absl::UnixEpoch()}, record));
    }
    events.push_back(Findings(0, 1)[0]);
    events.back().set_node(node);
    for (const pb::Event& event : events) {
      expected.push_back(event.uid());
    }
    Append(events);
    Append({Ledger(node)});
    ASSERT_TRUE(WaitUntilIdle()) << log_.last_failure();
    CloseStore();
  }
  const Consumed consumed = Consume();
  EXPECT_EQ(consumed.exit_code, 0);
  EXPECT_THAT(consumed.notes, ::testing::IsEmpty());
  EXPECT_THAT(consumed.findings, ::testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace vedette
