// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

struct KafkaUser {
  std::string name, password;
};

// The last of the 3.x line takes the nonce that librdkafka before 2.6.1 makes of SCRAM.
inline constexpr char kKafka4[] = "4.4.0";
inline constexpr char kKafka3[] = "3.9.1";

struct KafkaBrokerOptions {
  std::string version = kKafka4;
  bool auto_create_topics = false;
  int max_message_bytes = 1 << 20;
  bool log_append_time = false;  // Records carry the time at which the broker appended them.
  bool start = true;             // False: only its port is chosen; Start() brings it up later.
  // As in production, where `certificate` (with its key, in PEM) is set: address() speaks SASL_SSL
  // alone, these users log in with one of `mechanisms`, and nobody may do what no ACL allows.
  std::string certificate = {};
  std::vector<KafkaUser> users = {};
  std::string mechanisms = "SCRAM-SHA-512,PLAIN";
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
  // Plain text, and everything is allowed; address() itself where the broker is not secure.
  const std::string& admin_address() const { return admin_address_; }
  pid_t pid() const { return pid_; }
  std::string data_dir() const { return dir_ + "/data"; }  // A directory for each partition.

  absl::Status Start();  // Returns when the broker answers; the same data and port each time.
  void Kill();           // SIGKILL.
  void Pause() const { kill(pid_, SIGSTOP); }
  void Resume() const { kill(pid_, SIGCONT); }
  absl::Status CreateTopic(const std::string& topic, int partitions);
  absl::Status SetCertificate(const std::string& pem);  // Holds from the next Start().

 private:
  KafkaBroker() = default;
  absl::Status WriteProperties(const KafkaBrokerOptions& options);
  absl::Status Format(const std::vector<KafkaUser>& users);
  absl::Status WaitUntilReady();

  std::string dir_;
  std::string jars_;
  std::string address_, admin_address_;
  pid_t pid_ = -1;
};

}  // namespace vedette
