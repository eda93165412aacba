// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "exporters/schema/event.pb.h"

struct rd_kafka_s;
struct rd_kafka_topic_s;

namespace vedette {

// An event as a message of Kafka. Refers to what the caller keeps; a value.
struct KafkaRecord {
  const pb::Event& event;
  const std::string& value;   // In JSON.
  size_t shortened_from = 0;  // The size of the whole one where this is its short form.
  void* opaque = nullptr;     // Comes back with the report.
};

// Hands a record to librdkafka, which copies it. A rd_kafka_resp_err_t.
int ProduceRecord(rd_kafka_s* kafka, rd_kafka_topic_s* topic, const KafkaRecord& record);

}  // namespace vedette
