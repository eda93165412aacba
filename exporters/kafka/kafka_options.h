// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/secret.h"

namespace vedette {

struct KafkaOptions {
  std::vector<std::string> brokers;  // "HOST:PORT".
  std::string topic = "vedette.findings";
  std::string ledger_topic = "vedette.ledger";
  std::map<std::string, std::string> options;   // Any of librdkafka's, over our own defaults.
  std::map<std::string, SecretSource> secrets;  // Further ones, whose values nobody may see.
  bool create_topics = false;                   // The topics, where they are missing.
  int partitions = 0;                           // Of topics that are created; 0: the broker's.
  int replication = 0;                          // The same.
};

// Whether the value of this option of librdkafka may stand in no configuration.
bool IsSecretKafkaOption(std::string_view name);

// InvalidArgument with one sentence that names the key of the configuration at fault. What only
// librdkafka can judge is found by KafkaExporter::Create.
absl::Status CheckKafkaOptions(const KafkaOptions& options);

// The values of `options.secrets`, read anew. InvalidArgument with one sentence, without the value.
absl::StatusOr<std::map<std::string, std::string>> ReadKafkaSecrets(const KafkaOptions& options);

}  // namespace vedette
