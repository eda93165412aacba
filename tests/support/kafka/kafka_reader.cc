// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kafka/kafka_reader.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace vedette {
namespace {

constexpr int kTimeoutMs = 10000;
constexpr absl::Duration kBound = absl::Seconds(30);

KafkaMessage Copy(const rd_kafka_message_t& from) {
  KafkaMessage to;
  to.partition = from.partition;
  to.offset = from.offset;
  to.timestamp_ms = rd_kafka_message_timestamp(&from, nullptr);
  to.key.assign(static_cast<const char*>(from.key), from.key_len);
  to.value.assign(static_cast<const char*>(from.payload), from.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&from, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      to.headers[name] = std::string(static_cast<const char*>(value), size);
    }
  }
  return to;
}

// The end of each partition, keyed by its number.
absl::StatusOr<std::map<int, int64_t>> Ends(rd_kafka_t* client, const std::string& topic) {
  std::unique_ptr<rd_kafka_topic_t, decltype(&rd_kafka_topic_destroy)> handle(
      rd_kafka_topic_new(client, topic.c_str(), nullptr), &rd_kafka_topic_destroy);
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, handle.get(), &metadata, kTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::InternalError(fmt::format("{}: {}", topic, rd_kafka_err2str(error)));
  }
  const int partitions = metadata->topics[0].partition_cnt;
  rd_kafka_metadata_destroy(metadata);
  std::map<int, int64_t> ends;
  for (int partition = 0; partition < partitions; ++partition) {
    int64_t low = 0, high = 0;
    error =
        rd_kafka_query_watermark_offsets(client, topic.c_str(), partition, &low, &high, kTimeoutMs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return absl::InternalError(
          fmt::format("{}/{}: {}", topic, partition, rd_kafka_err2str(error)));
    }
    if (high > low) {
      ends[partition] = high;
    }
  }
  return ends;
}

}  // namespace

absl::Status ReadEach(const std::string& brokers, const std::string& topic,
                      const std::function<void(const KafkaMessage&)>& take) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), nullptr, 0);
  rd_kafka_conf_set(conf, "group.id", "vedette-test-reader", nullptr, 0);
  rd_kafka_conf_set(conf, "enable.auto.commit", "false", nullptr, 0);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> client(
      rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0), &rd_kafka_destroy);
  rd_kafka_poll_set_consumer(client.get());
  auto ends = Ends(client.get(), topic);
  if (!ends.ok()) {
    return ends.status();
  }
  rd_kafka_topic_partition_list_t* assignment = rd_kafka_topic_partition_list_new(8);
  for (const auto& [partition, end] : *ends) {
    rd_kafka_topic_partition_list_add(assignment, topic.c_str(), partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(client.get(), assignment);
  rd_kafka_topic_partition_list_destroy(assignment);
  absl::Time deadline = absl::Now() + kBound;
  while (!ends->empty()) {
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(topic + ": not read to its end in time");
    }
    std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)> message(
        rd_kafka_consumer_poll(client.get(), 500), &rd_kafka_message_destroy);
    if (message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      continue;
    }
    take(Copy(*message));
    deadline = absl::Now() + kBound;
    const auto end = ends->find(message->partition);
    if (end != ends->end() && message->offset + 1 >= end->second) {
      ends->erase(end);
    }
  }
  rd_kafka_consumer_close(client.get());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<KafkaMessage>> ReadTopic(const std::string& brokers,
                                                    const std::string& topic) {
  std::vector<KafkaMessage> messages;
  const absl::Status status = ReadEach(
      brokers, topic, [&messages](const KafkaMessage& message) { messages.push_back(message); });
  if (!status.ok()) {
    return status;
  }
  return messages;
}

}  // namespace vedette
