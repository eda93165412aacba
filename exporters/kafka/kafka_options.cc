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

// These would take away what the agent promises, so they are not the user's to set.
absl::Status CheckNotOurs(const KafkaOptions& options) {
  static constexpr std::string_view kRetries =
      "remove it: a record given up alone is overtaken by the next; how long all are tried says "
      "message.timeout.ms";
  static constexpr struct {
    std::string_view name, instead;
  } kOwn[] = {
      {"bootstrap.servers", "set sinks.kafka.brokers"},
      {"metadata.broker.list", "set sinks.kafka.brokers"},
      {"max.in.flight", "remove it: with more than one request under way records can be lost"},
      {"max.in.flight.requests.per.connection",
       "remove it: with more than one request under way records can be lost"},
      {"retries", kRetries},
      {"message.send.max.retries", kRetries},
      {"enable.gapless.guarantee", "remove it: it is on wherever enable.idempotence is"},
      {"transactional.id", "remove it: findings are not sent in transactions"}};
  for (const auto& own : kOwn) {
    const std::string name(own.name);
    if (options.options.count(name) > 0 || options.secrets.count(name) > 0) {
      return absl::InvalidArgumentError(
          fmt::format("sinks.kafka.librdkafka.{}: cannot be set here; {}", own.name, own.instead));
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsSecretKafkaOption(std::string_view name) {
  return name.find("password") != std::string_view::npos ||
         name.find("secret") != std::string_view::npos || name == "ssl.key.pem";
}

absl::StatusOr<std::map<std::string, std::string>> ReadKafkaSecrets(const KafkaOptions& options) {
  std::map<std::string, std::string> values;
  for (const auto& [name, source] : options.secrets) {
    absl::StatusOr<std::string> value = ReadSecret(source);
    if (!value.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("sinks.kafka.librdkafka.{}: {}", name, Message(value.status())));
    }
    values[name] = *std::move(value);
  }
  return values;
}

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
  VEDETTE_RETURN_IF_ERROR(CheckNotOurs(options));
  for (const auto& [name, value] : options.options) {
    if (IsSecretKafkaOption(name)) {
      return absl::InvalidArgumentError(
          fmt::format("sinks.kafka.librdkafka.{}: is a secret and cannot stand in the "
                      "configuration; write {{ file: /path }} or {{ env: NAME }}",
                      name));
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
