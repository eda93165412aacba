// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_conf.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <utility>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr size_t kErrorSize = 512;
constexpr char kMessageTimeout[] = "message.timeout.ms";
constexpr char kLongestMessageTimeout[] = "2147483647";
constexpr std::string_view kRedacted = "[redacted]";

// What the user did not set. Batches come ready-made from the spool, so librdkafka need not linger.
// With more than one request under way, a broker that has no memory of this producer (a new topic,
// a new leader) takes the second where it refuses the first, whose records then count as copies.
// Ten seconds are long enough for a broker to restart and short enough to tell that it is away.
// Idempotence alone would send what is behind a refused request; with "gapless" nothing is.
constexpr std::pair<const char*, const char*> kDefaults[] = {
    {"client.id", "vedette"},
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"max.in.flight", "1"},
    {"compression.codec", "zstd"},
    {"partitioner", "murmur2_random"},
    {"linger.ms", "0"},
    {"socket.nagle.disable", "true"},
    {kMessageTimeout, "10000"},
    {"topic.metadata.propagation.max.ms", "3000"},
    {"reconnect.backoff.max.ms", "1000"},
    {"log.connection.close", "false"},
};

std::string GetOption(rd_kafka_conf_t* conf, const char* name) {
  char value[64] = "";
  size_t size = sizeof(value);
  return rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK ? value : "";
}

// librdkafka ends some of its messages with a newline.
std::string OneLine(std::string text) {
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

absl::Status SetOption(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char error[kErrorSize] = "";
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof(error)) !=
      RD_KAFKA_CONF_OK) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.librdkafka.{}: librdkafka refuses it: {}; its file "
                    "CONFIGURATION.md lists what it takes",
                    name, OneLine(error)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string JoinBrokers(const KafkaOptions& options) {
  return fmt::format("{}", fmt::join(options.brokers, ","));
}

absl::StatusOr<std::vector<std::string>> SetKafkaConf(const KafkaOptions& options,
                                                      rd_kafka_conf_t* conf) {
  for (const auto& [name, value] : kDefaults) {
    VEDETTE_RETURN_IF_ERROR(SetOption(conf, name, value));
  }
  VEDETTE_RETURN_IF_ERROR(SetOption(conf, "bootstrap.servers", JoinBrokers(options)));
  VEDETTE_ASSIGN_OR_RETURN(const auto secrets, ReadKafkaSecrets(options));
  std::vector<std::string> hidden;
  for (const auto& [name, value] : secrets) {
    hidden.push_back(value);
  }
  for (const auto* values : {&options.options, &secrets}) {
    for (const auto& [name, value] : *values) {
      const absl::Status status = SetOption(conf, name, value);
      if (!status.ok()) {
        return absl::Status(status.code(), CleanKafkaText(std::string(status.message()), hidden));
      }
    }
  }
  if (GetOption(conf, "enable.idempotence") == "true") {
    VEDETTE_RETURN_IF_ERROR(SetOption(conf, "enable.gapless.guarantee", "true"));
  }
  return hidden;
}

absl::StatusOr<absl::Duration> TakeMessageTimeout(rd_kafka_conf_t* conf) {
  const std::string text = GetOption(conf, kMessageTimeout);
  int64_t milliseconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (milliseconds <= 0) {
    return absl::InvalidArgumentError(
        fmt::format("sinks.kafka.librdkafka.{}: {} would wait forever; give milliseconds above 0",
                    kMessageTimeout, text));
  }
  VEDETTE_RETURN_IF_ERROR(SetOption(conf, kMessageTimeout, kLongestMessageTimeout));
  return absl::Milliseconds(milliseconds);
}

std::string CleanKafkaText(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    for (size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + kRedacted.size())) {
      text.replace(at, secret.size(), kRedacted);
    }
  }
  return OneLine(std::move(text));
}

}  // namespace vedette
