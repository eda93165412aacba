// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

struct rd_kafka_s;
struct rd_kafka_queue_s;
struct rd_kafka_AdminOptions_s;

namespace vedette {

struct KafkaGrant {
  enum class What { kWrite, kRead, kCreate, kReadAsGroup };
  What what = What::kWrite;
  std::string user;
  std::string on;  // A topic, or a group of consumers.
};

// Changes a cluster by its admin protocol, as whoever `address` takes it for. One thread.
class KafkaAdmin {
 public:
  explicit KafkaAdmin(const std::string& address);
  ~KafkaAdmin();
  KafkaAdmin(const KafkaAdmin&) = delete;
  KafkaAdmin& operator=(const KafkaAdmin&) = delete;

  rd_kafka_s* client() const { return client_; }

  absl::Status CreateTopic(const std::string& topic, int partitions);
  absl::Status Grant(const KafkaGrant& grant);  // An ACL that allows it.
  // Deletes what comes before `offset`, as retention does.
  absl::Status DeleteBefore(const std::string& topic, int partition, int64_t offset);

 private:
  // Runs one request and waits for its answer.
  absl::Status Run(const std::string& what, int operation,
                   const std::function<void(rd_kafka_AdminOptions_s*, rd_kafka_queue_s*)>& request);

  rd_kafka_s* const client_;
};

}  // namespace vedette
