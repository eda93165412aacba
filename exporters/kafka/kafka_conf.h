// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "exporters/kafka/kafka_options.h"

struct rd_kafka_conf_s;

namespace vedette {

std::string JoinBrokers(const KafkaOptions& options);

// Puts our defaults and then the user's options into `conf`, secrets read anew; gives the values of
// the secrets. InvalidArgument with one sentence that has none of them.
absl::StatusOr<std::vector<std::string>> SetKafkaConf(const KafkaOptions& options,
                                                      rd_kafka_conf_s* conf);

// The message.timeout.ms of `conf`, which librdkafka is left without: it takes single messages out
// of a queue and then sends those behind them.
absl::StatusOr<absl::Duration> TakeMessageTimeout(rd_kafka_conf_s* conf);

// Text of librdkafka on one line, with "[redacted]" for the values of secrets.
std::string CleanKafkaText(std::string text, const std::vector<std::string>& secrets);

}  // namespace vedette
