// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

struct KafkaMessage {
  int partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = 0;  // As the broker or the producer gave it.
  std::string key;
  std::string value;
  std::map<std::string, std::string> headers;
};

// Calls `take` with everything in a topic now, from the beginning to the ends that its partitions
// have at the call; in order within each partition. Fails when nothing comes for a while.
absl::Status ReadEach(const std::string& brokers, const std::string& topic,
                      const std::function<void(const KafkaMessage&)>& take);

// The same, all at once.
absl::StatusOr<std::vector<KafkaMessage>> ReadTopic(const std::string& brokers,
                                                    const std::string& topic);

}  // namespace vedette
