// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/deliver/delivery.h"
#include "exporters/kafka/kafka_exporter.h"
#include "tests/support/events/observed_exporter.h"
#include "tests/support/events/sample_events.h"
#include "tests/support/kafka/kafka_reader.h"
#include "tests/support/temp_dir.h"

namespace vedette {

// A spool with one Kafka sink, which a test fills and watches.
class KafkaDeliveryTest : public ::testing::Test {
 protected:
  static constexpr absl::Duration kBound = absl::Seconds(60);

  KafkaDeliveryTest() : db_(SqliteDatabase::Open(dir_ / "vedette.db").value()) {}

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
  // Numbered uids; `keys` workloads take turns.
  static std::vector<pb::Event> Findings(int first, int count, int keys = 10) {
    std::vector<pb::Event> events;
    const pb::Event sample = SampleFindings()[0];
    for (int i = first; i < first + count; ++i) {
      pb::Event event = sample;
      event.set_uid(std::to_string(i));
      event.set_key(fmt::format("host/workload-{}", i % keys));
      events.push_back(std::move(event));
    }
    return events;
  }
  // What is promised to a consumer that drops the ids it has seen: all of the first `count`
  // findings, in order per key. How many copies there are is not.
  static void ExpectAllInOrder(const std::string& brokers, const std::string& topic, int count) {
    std::map<std::string, int> last_of_key;
    std::vector<bool> seen(static_cast<size_t>(count));
    std::string overtaken;  // The first that was.
    int copies = 0;
    const absl::Status status = ReadEach(brokers, topic, [&](const KafkaMessage& message) {
      const std::string& uid = message.headers.at("event-uid");
      const int number = std::stoi(uid);
      ASSERT_LT(number, count);
      if (seen[static_cast<size_t>(number)]) {
        ++copies;
        return;
      }
      seen[static_cast<size_t>(number)] = true;
      EXPECT_THAT(message.value, ::testing::HasSubstr(fmt::format("\"uid\":\"{}\"", uid)));
      const auto last = last_of_key.try_emplace(message.key, -1).first;
      if (last->second > number && overtaken.empty()) {
        overtaken = fmt::format("{} of {} comes after {}", number, message.key, last->second);
      }
      last->second = number;
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(overtaken, "");
    const auto missing = std::find(seen.begin(), seen.end(), false);
    EXPECT_TRUE(missing == seen.end()) << missing - seen.begin() << " is missing";
    RecordProperty("copies", copies);
  }
  SinkAccount Account() { return delivery_->Accounts().value()[0]; }

  testing::TempDir dir_{"vedette-kafka"};
  std::unique_ptr<SqliteDatabase> db_;
  ExporterLog log_;
  std::unique_ptr<Delivery> delivery_;
};

}  // namespace vedette
