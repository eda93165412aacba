// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace vedette {

struct KafkaOptions {
  std::vector<std::string> brokers;  // "HOST:PORT".
  std::string topic = "vedette.findings";
  std::string ledger_topic = "vedette.ledger";
  std::map<std::string, std::string> options;  // Any of librdkafka's, over our own defaults.
};

// InvalidArgument with one sentence that names the key of the configuration at fault. What only
// librdkafka can judge is found by KafkaExporter::Create.
absl::Status CheckKafkaOptions(const KafkaOptions& options);

}  // namespace vedette
