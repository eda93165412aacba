// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

struct KafkaBrokerOptions {
  bool auto_create_topics = false;
  int max_message_bytes = 1 << 20;
  bool log_append_time = false;  // Records carry the time at which the broker appended them.
  bool start = true;             // False: only its port is chosen; Start() brings it up later.
};

// A real Apache Kafka: one KRaft broker on free ports of 127.0.0.1, with its data in a directory of
// its own, from the jars that fetch_kafka.sh put in the cache. Dies with the test.
class KafkaBroker {
 public:
  // NotFound: the jars or Java are not there; the sentence says what to run.
  static absl::StatusOr<std::unique_ptr<KafkaBroker>> Create(const KafkaBrokerOptions& options);
  ~KafkaBroker();
  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;

  const std::string& address() const { return address_; }  // "127.0.0.1:PORT"
  pid_t pid() const { return pid_; }

  absl::Status Start();  // Returns when the broker answers; the same data and port each time.
  void Kill();           // SIGKILL.
  absl::Status CreateTopic(const std::string& topic, int partitions);

 private:
  KafkaBroker() = default;
  absl::Status Format();
  absl::Status WaitUntilReady();

  std::string dir_;
  std::string jars_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace vedette
