// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_options.h"

#include <fmt/format.h>

#include <string_view>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr size_t kMaxTopicSize = 249;
constexpr std::string_view kTopicCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

absl::Status CheckTopic(std::string_view key, const std::string& topic) {
  if (topic.empty() || topic.size() > kMaxTopicSize || topic == "." || topic == ".." ||
      topic.find_first_not_of(kTopicCharacters) != std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.{}: \"{}\" is not a topic's name; use at most {} letters, digits, "
                    "dots, dashes and underscores",
                    key, topic, kMaxTopicSize));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKafkaOptions(const KafkaOptions& options) {
  if (options.brokers.empty()) {
    return absl::InvalidArgumentError(
        "sinks.kafka.brokers: is empty; name at least one broker as HOST:PORT");
  }
  for (const std::string& broker : options.brokers) {
    if (broker.empty() || broker.find_first_of(", \t\n") != std::string::npos) {
      return absl::InvalidArgumentError(fmt::format(
          "sinks.kafka.brokers: \"{}\" is not a broker; write each as HOST:PORT", broker));
    }
  }
  VEDETTE_RETURN_IF_ERROR(CheckTopic("topic", options.topic));
  VEDETTE_RETURN_IF_ERROR(CheckTopic("ledger_topic", options.ledger_topic));
  // These would take away what the agent promises, so they are not the user's to set.
  static constexpr struct {
    std::string_view name, instead;
  } kOwn[] = {{"bootstrap.servers", "set sinks.kafka.brokers"},
              {"metadata.broker.list", "set sinks.kafka.brokers"},
              {"transactional.id", "remove it: findings are not sent in transactions"}};
  for (const auto& own : kOwn) {
    if (options.options.count(std::string(own.name)) > 0) {
      return absl::InvalidArgumentError(
          fmt::format("sinks.kafka.librdkafka.{}: cannot be set here; {}", own.name, own.instead));
    }
  }
  for (const char* name : {"message.timeout.ms", "delivery.timeout.ms"}) {
    const auto found = options.options.find(name);
    if (found != options.options.end() && found->second == "0") {
      return absl::InvalidArgumentError(fmt::format(
          "sinks.kafka.librdkafka.{}: 0 would wait forever; give milliseconds above 0", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace vedette
