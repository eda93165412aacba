// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_topics.h"

#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace vedette {
namespace {

constexpr size_t kErrorSize = 256;

using Queue = std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)>;
using Answer = std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)>;
using Options = std::unique_ptr<rd_kafka_AdminOptions_t, decltype(&rd_kafka_AdminOptions_destroy)>;

// Errors by topic, as the broker's answer has them.
std::map<std::string, std::string> RefusedOf(const rd_kafka_event_t* answer) {
  std::map<std::string, std::string> refused;
  size_t count = 0;
  const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(
      rd_kafka_event_CreateTopics_result(const_cast<rd_kafka_event_t*>(answer)), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    const std::string topic = rd_kafka_topic_result_name(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      spdlog::info("Kafka topic {} was created", topic);
    } else if (error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
      const char* text = rd_kafka_topic_result_error_string(results[i]);
      refused[topic] = text == nullptr ? rd_kafka_err2str(error) : text;
    }
  }
  return refused;
}

}  // namespace

std::optional<std::map<std::string, std::string>> CreateKafkaTopics(rd_kafka_s* kafka,
                                                                    const KafkaTopicWish& wish,
                                                                    absl::Duration bound) {
  const int bound_ms = static_cast<int>(absl::ToInt64Milliseconds(bound));
  char error[kErrorSize] = "";
  std::vector<rd_kafka_NewTopic_t*> wanted;
  for (const std::string& topic : wish.topics) {
    wanted.push_back(
        rd_kafka_NewTopic_new(topic.c_str(), wish.partitions == 0 ? -1 : wish.partitions,
                              wish.replication == 0 ? -1 : wish.replication, error, sizeof(error)));
  }
  const Queue queue(rd_kafka_queue_new(kafka), &rd_kafka_queue_destroy);
  const Options options(rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_CREATETOPICS),
                        &rd_kafka_AdminOptions_destroy);
  rd_kafka_AdminOptions_set_request_timeout(options.get(), bound_ms, error, sizeof(error));
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), bound_ms, error, sizeof(error));
  rd_kafka_CreateTopics(kafka, wanted.data(), wanted.size(), options.get(), queue.get());
  const Answer answer(rd_kafka_queue_poll(queue.get(), bound_ms + 500), &rd_kafka_event_destroy);
  rd_kafka_NewTopic_destroy_array(wanted.data(), wanted.size());
  if (answer == nullptr || rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::nullopt;
  }
  return RefusedOf(answer.get());
}

}  // namespace vedette
