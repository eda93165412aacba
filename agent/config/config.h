// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/base/secret.h"
#include "agent/event/cache_kind.h"
#include "agent/redact/argv_capture.h"

namespace vedette {

inline constexpr char kDefaultConfigFile[] = "/etc/vedette/vedette.yaml";
inline constexpr char kDefaultSocket[] = "/run/vedette/agent.sock";

struct JsonlSinkConfig {
  std::string path = "/var/log/vedette/findings.jsonl";
  std::string name = "";  // Empty: "jsonl".
};

struct KafkaSinkConfig {
  std::vector<std::string> brokers;  // host:port
  std::string topic = "vedette.findings";
  std::string ledger_topic = "vedette.ledger";
  std::map<std::string, std::string> librdkafka;  // Handed on as written.
  std::map<std::string, SecretSource> librdkafka_secrets;
  bool create_topics = false;
  uint32_t partitions = 0;   // Of topics that are created; 0: as the broker has it.
  uint32_t replication = 0;  // The same.
  std::string name = "";     // Empty: "kafka:TOPIC".
};

// `origin` is where the sink was written, for errors found later: "vedette.yaml:7:5".
struct SinkConfig {
  std::variant<JsonlSinkConfig, KafkaSinkConfig> sink;
  std::string origin = "default";
};

// What waits for a sink is kept under its name, from run to run; in ledger and `doctor`, too. No
// two sinks of a configuration have the same one.
std::string SinkName(const SinkConfig& sink);

enum class LogFormat { kText, kJson };

// What the agent was told, checked. The defaults here are those of docs/configuration.md; a test
// compares them.
struct Config {
  struct {
    std::string dir = "/var/lib/vedette";
    uint64_t max_size_bytes = uint64_t{512} << 20;
    absl::Duration max_age = absl::Hours(24 * 30);
  } store;
  struct {
    std::string socket = kDefaultSocket;
  } api;
  std::vector<SinkConfig> sinks = {SinkConfig{}};
  struct {
    uint64_t max_size_bytes = uint64_t{256} << 20;
  } spool;
  struct {
    absl::Duration min_time = absl::Hours(24);
    absl::Duration quiet = absl::Hours(6);
    uint32_t min_runs = 5;
    std::string default_profiles = "builtin";  // Or "off", or the path of a file.
  } learning;
  struct {
    uint32_t per_hour = 60;  // New ones that go out, per workload.
    absl::Duration update_interval = absl::Minutes(5);
  } findings;
  struct {
    std::string listen;  // Empty: no listener.
    uint32_t max_series = 2000;
  } metrics;
  struct {
    absl::Duration poll = absl::Milliseconds(50);
    uint64_t ring_size_bytes = uint64_t{1} << 20;
  } collect;
  struct {
    ArgvCapture argv = ArgvCapture::kRedacted;
    std::vector<std::string> redact;  // Patterns of RE2.
  } capture;
  struct {
    std::vector<std::string> runtimes;  // Beside those the agent knows.
    std::string cluster;
    // Where the runtimes write what their containers are called.
    std::vector<std::string> docker_roots = {"/var/lib/docker",
                                             "/var/snap/docker/common/var-lib-docker"};
    std::vector<std::string> containerd_roots = {"/run/containerd", "/run/k3s/containerd",
                                                 "/run/k0s/containerd",
                                                 "/var/snap/microk8s/common/run/containerd"};
    std::vector<std::string> storage_roots = {"/var/lib/containers/storage",
                                              "/run/containers/storage"};
    bool user_containers = true;
  } identity;
  struct {
    std::vector<std::string> resolvers;  // Beside those of /etc/resolv.conf.
  } dns;
  struct {
    CacheEntries entries = DefaultCacheEntries(/*with_optional=*/true);
    uint32_t processes = 16384;  // Of the whole node.
  } cache;
  struct {
    std::string pin_dir = "/sys/fs/bpf/vedette";
  } bpf;
  struct {
    bool privilege = true;
    bool capabilities = false;
    bool files = false;
  } probes;
  struct {
    std::vector<std::string> watch = {"/etc/shadow",
                                      "/etc/gshadow",
                                      "/etc/sudoers",
                                      "/root/.ssh/authorized_keys",
                                      "/root/.ssh/id_rsa",
                                      "/root/.ssh/id_ed25519",
                                      "/etc/kubernetes/admin.conf"};
    std::vector<std::string> sensitive = {"/bin",   "/boot",           "/dev",  "/etc",  "/lib",
                                          "/lib64", "/proc",           "/root", "/sbin", "/sys",
                                          "/usr",   "/var/spool/cron", ".ssh",  ".gnupg"};
  } files;
  struct {
    std::string level = "info";
    LogFormat format = LogFormat::kText;
  } log;
};

// What the documentation says of one key. `[]` in a path stands for each item of a list.
struct ConfigKeyInfo {
  std::string path;
  std::string type;
  std::string fallback;
};
std::vector<ConfigKeyInfo> ConfigKeys();

// The value of a key in `config`, written as a configuration file would write it; nullopt for an
// unknown path or one of a list's items.
std::optional<std::string> ConfigValue(const Config& config, std::string_view path);

// Reads `file` (none when empty), then applies `sets`, each "key.path=value", in order. The error
// is InvalidArgument and has one line per mistake, all of them at once:
// "FILE:LINE:COLUMN: what; what to do", or "--set key.path: …".
absl::StatusOr<Config> LoadConfig(const std::string& file, absl::Span<const std::string> sets);

}  // namespace vedette
