// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

struct rd_kafka_s;

namespace vedette {

struct KafkaTopicWish {
  std::vector<std::string> topics;
  int partitions = 0;   // 0: as the broker has it.
  int replication = 0;  // The same.
};

// Asks the cluster to create what is missing. Topics that it refused, with the reason; a topic that
// is there is no refusal. Nothing when no broker answered in time.
std::optional<std::map<std::string, std::string>> CreateKafkaTopics(rd_kafka_s* kafka,
                                                                    const KafkaTopicWish& wish,
                                                                    absl::Duration bound);

}  // namespace vedette
