// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/deliver/delivery.h"
#include "exporters/kafka/kafka_exporter.h"
#include "tests/support/events/observed_exporter.h"
#include "tests/support/events/sample_events.h"
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
  SinkAccount Account() { return delivery_->Accounts().value()[0]; }

  testing::TempDir dir_{"vedette-kafka"};
  std::unique_ptr<SqliteDatabase> db_;
  ExporterLog log_;
  std::unique_ptr<Delivery> delivery_;
};

}  // namespace vedette
