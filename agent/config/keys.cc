// SPDX-License-Identifier: Apache-2.0
#include "agent/config/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "agent/base/trust_domain.h"
#include "agent/config/key_kinds.h"
#include "agent/config/values.h"
#include "agent/redact/patterns.h"

namespace vedette {
namespace {

// sun_path holds 108 bytes; the socket is first made beside its name with a suffix of up to 16.
constexpr size_t kMaxSocketPathBytes = 90;
constexpr uint64_t kMiB = uint64_t{1} << 20;

std::string CheckNothing(const std::string&) { return ""; }

std::string CheckAbsolute(const std::string& text) {
  return text.front() == '/' ? "" : "write an absolute path, starting with /";
}

std::string CheckCluster(const std::string& text) {
  return IsTrustDomain(text)
             ? ""
             : fmt::format(
                   "it is the trust domain of SPIFFE IDs: write 1 to {} of a-z, 0-9, '.', "
                   "'-' and '_'",
                   kMaxTrustDomainBytes);
}

std::string CheckDefaultProfiles(const std::string& text) {
  return text == "builtin" || text == "off" || text.front() == '/'
             ? ""
             : "write builtin, off, or the absolute path of a file";
}

std::string CheckSocketPath(const std::string& text) {
  if (text.size() <= kMaxSocketPathBytes) {
    return "";
  }
  return fmt::format("a path of {} bytes is too long for a Unix socket; write one of at most {}",
                     text.size(), kMaxSocketPathBytes);
}

std::string CheckHostPort(const std::string& text) {
  absl::StatusOr<HostPort> parsed = ParseHostPort(text);
  return parsed.ok() ? "" : std::string(parsed.status().message());
}

// The agent asks nobody for names, so an address to listen on is a number.
std::string CheckListen(const std::string& text) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(text);
  if (!parsed.ok()) {
    return std::string(parsed.status().message());
  }
  return IsIpAddress(parsed->host) ? "" : "write the host as an IP address, such as 127.0.0.1:9477";
}

std::string CheckIp(const std::string& text) {
  return IsIpAddress(text) ? "" : "write an IPv4 or IPv6 address, such as 10.0.0.53";
}

// Kafka allows letters, digits, '.', '_' and '-', at most 249 of them.
std::string CheckTopic(const std::string& text) {
  bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  });
  return clean && text.size() <= 249 && text != "." && text != ".."
             ? ""
             : "write a Kafka topic: at most 249 letters, digits, dots, underscores or hyphens";
}

std::string CheckSinkName(const std::string& text) {
  constexpr size_t kLongest = 64;
  const bool ok = !text.empty() && text.size() <= kLongest &&
                  std::all_of(text.begin(), text.end(), [](unsigned char c) {
                    return std::isalnum(c) || c == '.' || c == '_' || c == '-' || c == ':';
                  });
  return ok ? "" : "write a name: at most 64 letters, digits, dots, underscores, hyphens or colons";
}

// Says of the two words that it took before what is meant by them now.
ConfigKey CaptureArgv() {
  ConfigKey key = WordKey(
      "capture.argv", {"full", "redacted", "none"},
      [](Config& c, size_t i) { c.capture.argv = static_cast<ArgvCapture>(i); },
      [](const Config& c) { return static_cast<size_t>(c.capture.argv); });
  key.set = [set = std::move(key.set)](const YAML::Node& node, Config& config) -> Errors {
    if (node.IsScalar() && (node.Scalar() == "on" || node.Scalar() == "off")) {
      const bool on = node.Scalar() == "on";
      return Wrong(node, fmt::format("\"{}\" is no longer known; write {}", node.Scalar(),
                                     on ? "redacted, or full for command lines with their secrets"
                                        : "none"));
    }
    return set(node, config);
  };
  return key;
}

JsonlSinkConfig& Jsonl(Config& config) {
  return std::get<JsonlSinkConfig>(config.sinks.back().sink);
}
KafkaSinkConfig& Kafka(Config& config) {
  return std::get<KafkaSinkConfig>(config.sinks.back().sink);
}

// "{ file: PATH }" or "{ env: NAME }". The node is never quoted: it may hold the secret itself.
Errors ReadSecretSource(const YAML::Node& node, SecretSource& out) {
  constexpr char kExpected[] = "{ file: /path } or { env: NAME }";
  const std::string from =
      node.size() == 1 && node.begin()->first.IsScalar() ? node.begin()->first.Scalar() : "";
  if (from != "file" && from != "env") {
    return Wrong(node, fmt::format("is a map; write a value, or for a secret {}", kExpected));
  }
  const YAML::Node value = node.begin()->second;
  if (!value.IsScalar() || value.Scalar().empty() ||
      value.Scalar().find('\0') != std::string::npos ||
      (from == "file" && value.Scalar().front() != '/')) {
    return Wrong(value, fmt::format("has no usable {}; write {}", from, kExpected));
  }
  out = {from == "file" ? SecretSource::From::kFile : SecretSource::From::kEnv, value.Scalar()};
  return {};
}

Errors ReadKafkaOption(const YAML::Node& key, const YAML::Node& node, KafkaSinkConfig& sink) {
  const std::string& name = key.Scalar();
  const bool written_before =
      sink.librdkafka.count(name) > 0 || sink.librdkafka_secrets.count(name) > 0;
  Errors errors;
  std::string text;
  SecretSource source;
  if (node.IsMap()) {
    errors = ReadSecretSource(node, source);
  } else {
    errors = ReadString(node, "the option's value", CheckNothing, text);
  }
  if (!errors.empty()) {
    errors[0].what = fmt::format("option \"{}\" {}", name, errors[0].what);
  } else if (written_before) {
    return Wrong(key, fmt::format("option \"{}\" is written twice; keep one", name));
  } else if (node.IsMap()) {
    sink.librdkafka_secrets.emplace(name, std::move(source));
  } else {
    sink.librdkafka.emplace(name, std::move(text));
  }
  return errors;
}

// Options of librdkafka are dotted names with scalars. Whether it knows them, it says itself; which
// of them must be secrets, the sink says.
ConfigKey KafkaOptions() {
  auto set = [](const YAML::Node& node, Config& config) -> Errors {
    if (!node.IsMap()) {
      return Wrong(node, "is not a map; write { option: value, … } as librdkafka names them");
    }
    Errors errors;
    for (const auto& entry : node) {
      const Errors found =
          entry.first.IsScalar()
              ? ReadKafkaOption(entry.first, entry.second, Kafka(config))
              : Wrong(entry.first, "an option's name is not a word; write it as librdkafka does");
      errors.insert(errors.end(), found.begin(), found.end());
    }
    return errors;
  };
  auto get = [](const Config& config) {
    Config copy = config;
    std::vector<std::string> pairs;
    for (const auto& [name, value] : Kafka(copy).librdkafka) {
      pairs.push_back(fmt::format("{}: {}", name, value));
    }
    for (const auto& [name, source] : Kafka(copy).librdkafka_secrets) {
      pairs.push_back(fmt::format("{}: {}", name, SecretSourceText(source)));
    }
    return pairs.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(pairs, ", "));
  };
  return {"sinks[].kafka.librdkafka", "map of options", set, get, "", true};
}

ConfigKey WithFallback(ConfigKey key, std::string fallback) {
  key.fallback = std::move(fallback);
  return key;
}

void AppendSinkKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(StringKey(
      "sinks[].jsonl.path", "path", [](Config& c) -> std::string& { return Jsonl(c).path; },
      CheckNothing));
  keys.push_back(
      WithFallback(StringKey(
                       "sinks[].jsonl.name", "name",
                       [](Config& c) -> std::string& { return Jsonl(c).name; }, CheckSinkName),
                   "jsonl"));
  keys.push_back(WithFallback(
      StringListKey(
          "sinks[].kafka.brokers", "HOST:PORT",
          [](Config& c) -> std::vector<std::string>& { return Kafka(c).brokers; }, CheckHostPort),
      "required"));
  keys.push_back(StringKey(
      "sinks[].kafka.topic", "Kafka topic",
      [](Config& c) -> std::string& { return Kafka(c).topic; }, CheckTopic));
  keys.push_back(StringKey(
      "sinks[].kafka.ledger_topic", "Kafka topic",
      [](Config& c) -> std::string& { return Kafka(c).ledger_topic; }, CheckTopic));
  keys.push_back(WordKey(
      "sinks[].kafka.create_topics", {"on", "off"},
      [](Config& c, size_t i) { Kafka(c).create_topics = i == 0; },
      [](const Config& c) -> size_t {
        return std::get<KafkaSinkConfig>(c.sinks.back().sink).create_topics ? 0 : 1;
      }));
  keys.push_back(CountKey(
      "sinks[].kafka.partitions", [](Config& c) -> uint32_t& { return Kafka(c).partitions; }, 0,
      1000));
  keys.push_back(CountKey(
      "sinks[].kafka.replication", [](Config& c) -> uint32_t& { return Kafka(c).replication; }, 0,
      100));
  keys.push_back(KafkaOptions());
  keys.push_back(
      WithFallback(StringKey(
                       "sinks[].kafka.name", "name",
                       [](Config& c) -> std::string& { return Kafka(c).name; }, CheckSinkName),
                   "kafka:TOPIC"));
}

void AppendNamingKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(StringListKey(
      "identity.runtimes", "path",
      [](Config& c) -> std::vector<std::string>& { return c.identity.runtimes; }, CheckAbsolute));
  keys.push_back(
      WithFallback(StringKey(
                       "identity.cluster", "name",
                       [](Config& c) -> std::string& { return c.identity.cluster; }, CheckCluster),
                   "hostname"));
  keys.push_back(StringListKey(
      "identity.docker_roots", "path",
      [](Config& c) -> std::vector<std::string>& { return c.identity.docker_roots; },
      CheckAbsolute));
  keys.push_back(StringListKey(
      "identity.containerd_roots", "path",
      [](Config& c) -> std::vector<std::string>& { return c.identity.containerd_roots; },
      CheckAbsolute));
  keys.push_back(StringListKey(
      "identity.storage_roots", "path",
      [](Config& c) -> std::vector<std::string>& { return c.identity.storage_roots; },
      CheckAbsolute));
  keys.push_back(WordKey(
      "identity.user_containers", {"on", "off"},
      [](Config& c, size_t i) { c.identity.user_containers = i == 0; },
      [](const Config& c) -> size_t { return c.identity.user_containers ? 0 : 1; }));
  keys.push_back(StringListKey(
      "dns.resolvers", "IP address",
      [](Config& c) -> std::vector<std::string>& { return c.dns.resolvers; }, CheckIp));
}

ConfigKey CaptureRedact() {
  ConfigKey key = StringListKey(
      "capture.redact", "RE2 pattern",
      [](Config& c) -> std::vector<std::string>& { return c.capture.redact; },
      WhatIsWrongWithPattern);
  key.set = [set = std::move(key.set)](const YAML::Node& node, Config& config) -> Errors {
    if (node.IsSequence() && node.size() > Patterns::kMaxPatterns) {
      return Wrong(node, fmt::format("has {} patterns; write at most {}", node.size(),
                                     Patterns::kMaxPatterns));
    }
    return set(node, config);
  };
  // As one would write it: patterns hold what YAML has a meaning for.
  key.get = [](const Config& config) {
    std::vector<std::string> quoted;
    for (std::string pattern : config.capture.redact) {
      for (size_t at = 0; (at = pattern.find('\'', at)) != pattern.npos; at += 2) {
        pattern.insert(at, 1, '\'');
      }
      quoted.push_back("'" + pattern + "'");
    }
    return fmt::format("[{}]", fmt::join(quoted, ", "));
  };
  return key;
}

// As the kernel's walk writes paths: only so can one be compared.
std::string CheckListedPath(const std::string& text) {
  constexpr size_t kMaxBytes = 255;
  const std::string marked = text + "/";
  if (text.front() != '/' || text.size() < 2 || text.size() > kMaxBytes || text.back() == '/' ||
      text.find("//") != text.npos || marked.find("/./") != marked.npos ||
      marked.find("/../") != marked.npos) {
    return fmt::format(
        "write an absolute path of at most {} bytes, without a slash at its end and without //, . "
        "or ..",
        kMaxBytes);
  }
  return "";
}

std::string CheckSensitive(const std::string& text) {
  if (text.front() == '/') {
    return text == "/" ? "" : CheckListedPath(text);
  }
  return text.find('/') == text.npos
             ? ""
             : "write an absolute path, or the name of a directory or file anywhere, such as .ssh";
}

void AppendFileKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(WordKey(
      "probes.files", {"on", "off"}, [](Config& c, size_t i) { c.probes.files = i == 0; },
      [](const Config& c) -> size_t { return c.probes.files ? 0 : 1; }));
  ConfigKey watch = StringListKey(
      "files.watch", "path", [](Config& c) -> std::vector<std::string>& { return c.files.watch; },
      CheckListedPath);
  watch.set = [set = std::move(watch.set)](const YAML::Node& node, Config& config) -> Errors {
    constexpr size_t kMaxPaths = 256;
    if (node.IsSequence() && node.size() > kMaxPaths) {
      return Wrong(node, fmt::format("has {} paths; write at most {}", node.size(), kMaxPaths));
    }
    return set(node, config);
  };
  keys.push_back(std::move(watch));
  keys.push_back(StringListKey(
      "files.sensitive", "path or name",
      [](Config& c) -> std::vector<std::string>& { return c.files.sensitive; }, CheckSensitive));
}

void AppendKernelKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(DurationKey(
      "collect.poll", [](Config& c) -> absl::Duration& { return c.collect.poll; },
      absl::Milliseconds(1), absl::Seconds(10)));
  keys.push_back(SizeKey("collect.ring_size",
                         [](Config& c) -> uint64_t& { return c.collect.ring_size_bytes; },
                         {.min = kMiB / 16, .max = 256 * kMiB, .power_of_two = true}));
  for (size_t cache = 0; cache < kCacheKinds.size(); ++cache) {
    keys.push_back(CountKey(
        std::string(kCacheKinds[cache].config_key),
        [cache](Config& c) -> uint32_t& { return c.cache.entries[cache]; }, 16, 1 << 20));
  }
  keys.push_back(CountKey(
      "cache.processes", [](Config& c) -> uint32_t& { return c.cache.processes; }, 1024, 1 << 20));
  keys.push_back(StringKey(
      "bpf.pin_dir", "path", [](Config& c) -> std::string& { return c.bpf.pin_dir; },
      CheckAbsolute));
}

void AppendProbeKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(WordKey(
      "probes.privilege", {"on", "off"}, [](Config& c, size_t i) { c.probes.privilege = i == 0; },
      [](const Config& c) -> size_t { return c.probes.privilege ? 0 : 1; }));
  keys.push_back(WordKey(
      "probes.capabilities", {"on", "off"},
      [](Config& c, size_t i) { c.probes.capabilities = i == 0; },
      [](const Config& c) -> size_t { return c.probes.capabilities ? 0 : 1; }));
}

void AppendWordKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(CaptureArgv());
  keys.push_back(CaptureRedact());
  static const std::vector<std::string> kLevels = {"debug", "info", "warn", "error"};
  keys.push_back(WordKey(
      "log.level", kLevels, [](Config& c, size_t i) { c.log.level = kLevels[i]; },
      [](const Config& c) -> size_t {
        return static_cast<size_t>(std::find(kLevels.begin(), kLevels.end(), c.log.level) -
                                   kLevels.begin());
      }));
  keys.push_back(WordKey(
      "log.format", {"text", "json"},
      [](Config& c, size_t i) { c.log.format = static_cast<LogFormat>(i); },
      [](const Config& c) { return static_cast<size_t>(c.log.format); }));
}

std::vector<ConfigKey> BuildConfigKeys() {
  std::vector<ConfigKey> keys;
  keys.push_back(StringKey(
      "store.dir", "path", [](Config& c) -> std::string& { return c.store.dir; }, CheckNothing));
  keys.push_back(SizeKey("store.max_size",
                         [](Config& c) -> uint64_t& { return c.store.max_size_bytes; },
                         {.min = 16 * kMiB, .max = kMiB << 24}));
  keys.push_back(DurationKey(
      "store.max_age", [](Config& c) -> absl::Duration& { return c.store.max_age; }, absl::Hours(1),
      absl::Hours(24 * 3650)));
  keys.push_back(StringKey(
      "api.socket", "path", [](Config& c) -> std::string& { return c.api.socket; },
      CheckSocketPath));
  AppendSinkKeys(keys);
  keys.push_back(SizeKey("spool.max_size",
                         [](Config& c) -> uint64_t& { return c.spool.max_size_bytes; },
                         {.min = kMiB, .max = kMiB << 24}));
  keys.push_back(DurationKey(
      "learning.min_time", [](Config& c) -> absl::Duration& { return c.learning.min_time; },
      absl::ZeroDuration(), absl::Hours(24 * 365)));
  keys.push_back(DurationKey(
      "learning.quiet", [](Config& c) -> absl::Duration& { return c.learning.quiet; },
      absl::ZeroDuration(), absl::Hours(24 * 365)));
  keys.push_back(CountKey(
      "learning.min_runs", [](Config& c) -> uint32_t& { return c.learning.min_runs; }, 2, 1000));
  keys.push_back(StringKey(
      "learning.default_profiles", "builtin, off or path",
      [](Config& c) -> std::string& { return c.learning.default_profiles; }, CheckDefaultProfiles));
  keys.push_back(CountKey(
      "findings.per_hour", [](Config& c) -> uint32_t& { return c.findings.per_hour; }, 1,
      1'000'000));
  keys.push_back(DurationKey(
      "findings.update_interval",
      [](Config& c) -> absl::Duration& { return c.findings.update_interval; }, absl::Seconds(1),
      absl::Hours(24)));
  keys.push_back(
      WithFallback(StringKey(
                       "metrics.listen", "HOST:PORT",
                       [](Config& c) -> std::string& { return c.metrics.listen; }, CheckListen),
                   "off"));
  keys.push_back(CountKey(
      "metrics.max_series", [](Config& c) -> uint32_t& { return c.metrics.max_series; }, 100,
      1'000'000));
  AppendKernelKeys(keys);
  AppendProbeKeys(keys);
  AppendFileKeys(keys);
  AppendWordKeys(keys);
  AppendNamingKeys(keys);
  return keys;
}

}  // namespace

const std::vector<ConfigKey>& AllConfigKeys() {
  static const std::vector<ConfigKey> kKeys = BuildConfigKeys();
  return kKeys;
}

}  // namespace vedette
