// SPDX-License-Identifier: Apache-2.0
#include "agent/config/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "agent/base/unique_fd.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

// A file of its own for each test, removed at its end.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() : path_(::testing::TempDir() + "vedette_config_XXXXXX") {
    UniqueFd fd(mkstemp(path_.data()));
  }
  ~ConfigTest() override { unlink(path_.c_str()); }

  absl::StatusOr<Config> Load(const std::string& yaml, const std::vector<std::string>& sets = {}) {
    std::ofstream(path_) << yaml;
    return LoadConfig(path_, sets);
  }

  // The lines of the error, with the file's name cut off.
  std::vector<std::string> Errors(const std::string& yaml,
                                  const std::vector<std::string>& sets = {}) {
    std::vector<std::string> lines;
    absl::StatusOr<Config> config = Load(yaml, sets);
    std::istringstream message{std::string(config.status().message())};
    for (std::string line; std::getline(message, line);) {
      lines.push_back(line.compare(0, path_.size(), path_) == 0 ? line.substr(path_.size()) : line);
    }
    return lines;
  }

  std::string path_;
};

TEST_F(ConfigTest, NothingSaidIsTheDefaults) {
  absl::StatusOr<Config> config = LoadConfig("", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->store.dir, "/var/lib/vedette");
  EXPECT_EQ(config->learning.min_time, absl::Hours(24));
  ASSERT_EQ(config->sinks.size(), 1u);
  EXPECT_EQ(std::get<JsonlSinkConfig>(config->sinks[0].sink).path,
            "/var/log/vedette/findings.jsonl");
  EXPECT_TRUE(Load("").ok());
  EXPECT_TRUE(Load("# only a comment\nstore:\n").ok());
}

TEST_F(ConfigTest, ReadsTheExampleOfTheDocumentation) {
  absl::StatusOr<Config> config = Load(R"(
store: { dir: /srv/vedette }
api: { socket: /run/x.sock }
sinks:
  - jsonl: { path: /var/log/f.jsonl }
  - kafka: { brokers: ["127.0.0.1:9092"], topic: t, librdkafka: { linger.ms: 5, acks: all } }
learning: { min_time: 1h30m, quiet: 20m, min_runs: 3 }
collect: { poll: 20ms, ring_size: 4MiB }
capture: { argv: none, redact: ['tok_[a-z]+', '(?i)pin (\d+)'] }
log: { level: debug, format: json }
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->store.dir, "/srv/vedette");
  EXPECT_EQ(config->learning.min_time, absl::Minutes(90));
  EXPECT_EQ(config->learning.quiet, absl::Minutes(20));
  EXPECT_EQ(config->learning.min_runs, 3u);
  EXPECT_EQ(config->collect.ring_size_bytes, 4u << 20);
  EXPECT_EQ(config->capture.argv, ArgvCapture::kNone);
  EXPECT_THAT(config->capture.redact, ElementsAre("tok_[a-z]+", "(?i)pin (\\d+)"));
  EXPECT_EQ(ConfigValue(*config, "capture.redact"), "['tok_[a-z]+', '(?i)pin (\\d+)']");
  EXPECT_EQ(config->log.format, LogFormat::kJson);
  ASSERT_EQ(config->sinks.size(), 2u);
  EXPECT_THAT(config->sinks[1].origin, EndsWith(":6:5"));
  const auto& kafka = std::get<KafkaSinkConfig>(config->sinks[1].sink);
  EXPECT_THAT(kafka.brokers, ElementsAre("127.0.0.1:9092"));
  EXPECT_EQ(kafka.ledger_topic, "vedette.ledger");
  EXPECT_THAT(kafka.librdkafka, ElementsAre(Pair("acks", "all"), Pair("linger.ms", "5")));
}

TEST_F(ConfigTest, UnknownKeysGetTheNearestName) {
  EXPECT_THAT(Errors("sotre:\n  dir: /x\n"),
              ElementsAre(":1:1: unknown key \"sotre\"; did you mean \"store\"?"));
  EXPECT_THAT(Errors("learning:\n  min_tiem: 1h\n"),
              ElementsAre(":2:3: unknown key \"learning.min_tiem\"; did you mean \"min_time\"?"));
  EXPECT_THAT(Errors("log: { colour: red }\n"),
              ElementsAre(":1:8: unknown key \"log.colour\"; known here: level, format"));
}

TEST_F(ConfigTest, DefaultProfilesAreBuiltinOffOrAFile) {
  for (const char* good : {"builtin", "off", "/etc/x.yaml"}) {
    EXPECT_EQ(Load(std::string("learning: { default_profiles: ") + good + " }")
                  ->learning.default_profiles,
              good);
  }
  EXPECT_THAT(Errors("learning: { default_profiles: some.yaml }"),
              ElementsAre(HasSubstr("\"some.yaml\" cannot be used; write builtin, off, or the "
                                    "absolute path of a file")));
}

TEST_F(ConfigTest, OneRunIsNoEvidence) {
  EXPECT_THAT(Errors("learning: { min_runs: 1 }\n"),
              ElementsAre(":1:23: learning.min_runs: \"1\" cannot be used; write a whole number "
                          "from 2 to 1000"));
}

TEST_F(ConfigTest, WrongUnitsSayWhatIsExpected) {
  for (const char* text : {"24", "24 hours", "24hours", "-1h", "1h30", "h", "''", "1e3s"}) {
    EXPECT_THAT(Errors(std::string("learning: { min_time: ") + text + " }"),
                ElementsAre(::testing::AllOf(StartsWith(":1:23: learning.min_time: "),
                                             HasSubstr("such as 24h or 50ms"))))
        << text;
  }
  for (const char* text : {"256", "256MB", "1.5MiB", "big", "99999999999999999999GiB"}) {
    EXPECT_THAT(Errors(std::string("spool: { max_size: ") + text + " }"),
                ElementsAre(HasSubstr("such as 256MiB")))
        << text;
  }
}

TEST_F(ConfigTest, AllMistakesAtOnceWithTheirPlaces) {
  EXPECT_THAT(
      Errors("store: [1]\n"
             "learning: { min_time: { a: 1 } }\n"
             "collect: { ring_size: 3MiB, poll: 1d }\n"
             "capture: { argv: redakted }\n"
             "cache: { exec_entries: -1 }\n"
             "cache: { flow_entries: 64 }\n"
             "dns: { resolvers: [10.0.0.1, nine] }\n"
             "identity: { runtimes: runc }\n",
             {"log.level=loud", "metrics.listen=9477", "metrics.listen=localhost:1",
              "api.sokcet=/x", "nonsense", "log.format="}),
      ElementsAre(
          ":1:8: store: expected a section; write keys below it: dir, max_size, max_age",
          ":2:23: learning.min_time: is a map; write a duration such as 24h or 50ms",
          ":3:23: collect.ring_size: 3MiB cannot be used; write a power of two from 64KiB to "
          "256MiB",
          ":3:35: collect.poll: 1d is out of range; write 1ms to 10s",
          ":4:18: capture.argv: \"redakted\" is not known; write one of full, redacted, none (did "
          "you mean redacted?)",
          ":5:24: cache.exec_entries: \"-1\" cannot be used; write a whole number from 16 to "
          "1048576",
          ":6:1: key \"cache\" is written twice; keep one",
          ":7:30: dns.resolvers: \"nine\" cannot be used; write an IPv4 or IPv6 address, such as "
          "10.0.0.53",
          ":8:23: identity.runtimes: is not a list; write [path, …]",
          "--set log.level: \"loud\" is not known; write one of debug, info, warn, error",
          "--set metrics.listen: \"9477\" is not an address; write HOST:PORT, such as "
          "127.0.0.1:9477",
          "--set metrics.listen: \"localhost:1\" cannot be used; write the host as an IP address, "
          "such as 127.0.0.1:9477",
          "--set api.sokcet: unknown key; did you mean \"api.socket\"?",
          "--set nonsense: no value; write KEY=VALUE",
          "--set log.format: has no value; write one of text, json"));
}

TEST_F(ConfigTest, WordsThatCaptureArgvTookBefore) {
  EXPECT_THAT(Errors("capture: { argv: on }\n", {"capture.argv=off"}),
              ElementsAre(":1:18: capture.argv: \"on\" is no longer known; write redacted, or full "
                          "for command lines with their secrets",
                          "--set capture.argv: \"off\" is no longer known; write none"));
}

TEST_F(ConfigTest, WrongPatternsSayWhere) {
  EXPECT_THAT(
      Errors(
          "capture:\n  redact:\n    - 'ok[0-9]+'\n    - 'id=(\\d+'\n    - 'ab[z-a]'\n    - 'x*'\n"
          "    - '(a{100}){10}'\n    - '\\1'\n"),
      ElementsAre(
          ":4:7: capture.redact: \"id=(\\d+\" is no pattern: missing ): id=(\\d+ at character 1; "
          "write a regular expression of RE2",
          ":5:7: capture.redact: \"ab[z-a]\" is no pattern: invalid character class range: "
          "z-a at character 4; write a regular expression of RE2",
          ":6:7: capture.redact: \"x*\" matches where nothing is; write one that needs at "
          "least one byte",
          HasSubstr("is too expensive: 10"), HasSubstr("invalid escape sequence")));
  EXPECT_THAT(Errors("", {"capture.redact=a"}), ElementsAre(HasSubstr("is not a list")));
  std::string many = "capture: { redact: [a";
  for (int i = 0; i < 64; ++i) {
    many += ", a";
  }
  EXPECT_THAT(Errors(many + "] }"), ElementsAre(HasSubstr("has 65 patterns; write at most 64")));
}

TEST_F(ConfigTest, WrongSinks) {
  EXPECT_THAT(
      Errors("sinks:\n  - syslog: {}\n  - jsonl: {}\n    kafka: {}\n  - kafka: {}\n  - x\n"),
      ElementsAre(":2:5: unknown key \"sinks[].syslog\"; known here: jsonl, kafka",
                  ":3:5: sinks: a sink has one key; write one of jsonl, kafka",
                  ":5:5: sinks[].kafka.brokers: has no broker; write [HOST:PORT, …]",
                  ":6:5: sinks: a sink has one key; write one of jsonl, kafka"));
  EXPECT_THAT(Errors("sinks:\n  - kafka: { brokers: localhost:9092 }\n"),
              ElementsAre(":2:23: sinks[].kafka.brokers: is not a list; write [HOST:PORT, …]"));
  EXPECT_THAT(Errors("sinks:\n  - kafka: { brokers: [] }\n"),
              ElementsAre(HasSubstr("has no broker")));
  EXPECT_THAT(Errors("sinks:\n  - kafka: { topik: x }\n"),
              ElementsAre(HasSubstr("topik"), HasSubstr("has no broker")));
  EXPECT_THAT(Errors("sinks: { jsonl: { path: /x } }\n"),
              ElementsAre(":1:8: sinks: expected a list; write - jsonl: { path: FILE }"));
  EXPECT_THAT(
      Errors("sinks:\n- kafka: { brokers: [localhost], topic: 'a b', librdkafka: { x: [1], y: 1, "
             "y: 2 } }\n"),
      ElementsAre(
          HasSubstr(":2:22: sinks[].kafka.brokers: \"localhost\" is not an address"),
          HasSubstr(":2:41: sinks[].kafka.topic: \"a b\" cannot be used; write a Kafka topic"),
          ":2:65: sinks[].kafka.librdkafka: option \"x\" is a list; write the option's value",
          ":2:76: sinks[].kafka.librdkafka: option \"y\" is written twice; keep one"));
  EXPECT_THAT(Errors("sinks:\n- jsonl: { path: /a }\n- jsonl: { path: /b }\n"),
              ElementsAre(HasSubstr(":3:3: a second sink is called jsonl, and what waits")));
  EXPECT_THAT(Errors("sinks:\n- kafka: { brokers: [a:1] }\n- kafka: { brokers: [b:1] }\n"),
              ElementsAre(HasSubstr(":3:3: a second sink is called kafka:vedette.findings, ")));
  EXPECT_THAT(Errors("sinks:\n- kafka: { brokers: [a:1], name: 'a b' }\n"),
              ElementsAre(HasSubstr(":2:34: sinks[].kafka.name: \"a b\" cannot be used; write a")));
  EXPECT_THAT(Errors("sinks:\n- jsonl: { path: /a }\n- jsonl: { path: /a }\n"),
              ElementsAre(":3:3: a second sink writes to /a; keep one"));
}

TEST_F(ConfigTest, SecretsAreNamedByWhereTheyAre) {
  absl::StatusOr<Config> config = Load(
      "sinks:\n- kafka: { brokers: [a:1], create_topics: on, partitions: 6, librdkafka: {\n"
      "  sasl.username: u, sasl.password: { file: /run/p }, ssl.key.password: { env: KEY } } }\n");
  ASSERT_TRUE(config.ok()) << config.status();
  const auto& kafka = std::get<KafkaSinkConfig>(config->sinks[0].sink);
  EXPECT_THAT(kafka.librdkafka, ElementsAre(Pair("sasl.username", "u")));
  EXPECT_THAT(kafka.librdkafka_secrets,
              ElementsAre(Pair("sasl.password", SecretSource{SecretSource::From::kFile, "/run/p"}),
                          Pair("ssl.key.password", SecretSource{SecretSource::From::kEnv, "KEY"})));
  EXPECT_TRUE(kafka.create_topics);
  EXPECT_EQ(kafka.partitions, 6u);
  EXPECT_EQ(kafka.replication, 0u);
}

// Whatever is wrong with a value that may be a secret, it is not repeated.
TEST_F(ConfigTest, MistakesAroundSecretsDoNotRepeatThem) {
  for (const char* option :
       {"sasl.password: { fil: hunter2 }", "sasl.password: { file: hunter2 }",
        "sasl.password: { file: [hunter2] }", "sasl.password: [hunter2]",
        "sasl.password: { file: /a, env: hunter2 }", "sasl.password: { env: '' }, x: [hunter2]",
        "a: hunter2, a: hunter2", "[hunter2]: b", "sasl.password: { ? [hunter2] : hunter2 }"}) {
    const std::string sink =
        fmt::format("{{ kafka: {{ brokers: [a:1], librdkafka: {{ {} }} }} }}", option);
    const std::string said = fmt::format("{}{}", fmt::join(Errors("sinks: [" + sink + "]\n"), "\n"),
                                         fmt::join(Errors("", {"sinks=[" + sink + "]"}), "\n"));
    EXPECT_THAT(said,
                ::testing::AllOf(HasSubstr("librdkafka: "), ::testing::Not(HasSubstr("hunter"))))
        << option;
  }
  EXPECT_THAT(
      Errors("", {"sinks=[{kafka: {librdkafka: {sasl.password: hunter2"}),
      ElementsAre(::testing::AllOf(HasSubstr("not YAML"), ::testing::Not(HasSubstr("hunter2")))));
}

TEST_F(ConfigTest, NotYamlAndUnreadable) {
  EXPECT_THAT(Errors("store: { dir: /x\nlearning: }\n"), ElementsAre(HasSubstr("not YAML: ")));
  EXPECT_THAT(Errors("log:\n  level: info\nstore:\n\tdir: /x\n"),
              ElementsAre(":4:5: not YAML: a tab indents this line; write blanks"));
  EXPECT_THAT(Errors("store: {\t dir: /x\nlearning: }\n"), ElementsAre(HasSubstr("correct the")));
  EXPECT_THAT(Errors("just text\n"), ElementsAre(StartsWith(":1:1: expected a section")));
  EXPECT_THAT(Errors("a: 1\n---\nb: 2\n"), ElementsAre(HasSubstr("a second YAML document")));
  EXPECT_EQ(Errors(std::string(100000, '[')).size(), 1u);
  EXPECT_EQ(Errors(std::string("store: { dir: \"\xff\\0\" }\n")).size(), 1u);
  EXPECT_THAT(Errors(std::string((1 << 20) + 1, '#')), ElementsAre(HasSubstr("larger than 1MiB")));
  EXPECT_EQ(LoadConfig("/nonexistent/v.yaml", {}).status().message(),
            "/nonexistent/v.yaml: cannot be read: No such file or directory; name a readable file "
            "with --config");
  EXPECT_THAT(std::string(LoadConfig("/", {}).status().message()),
              StartsWith("/: cannot be read: Is a directory"));
}

// The parser would end at the NUL byte, and put another character in the place of the other one.
TEST_F(ConfigTest, WhatIsNoTextIsRefusedAsAWhole) {
  const std::string anew = "; write the file anew, as text in UTF-8";
  EXPECT_THAT(Errors(std::string("log: { level: warn }\n\0\nlearning: { min_time: 1h }\n", 50)),
              ElementsAre(":2: holds a NUL byte, behind which nothing would be read" + anew));
  EXPECT_THAT(Errors("\n\nstore: { dir: /srv/caf\xe9 }\n"), ElementsAre(":3: is not UTF-8" + anew));
  EXPECT_TRUE(Load("store: { dir: /srv/caf\u00e9 }\n").ok());
}

TEST_F(ConfigTest, WhatIsWrongIsRepeatedAsOneShortLineThatATerminalCanShow) {
  EXPECT_THAT(Errors("\"sto\\e[31mre\\n\": 1\n"),
              ElementsAre(StartsWith(R"(:1:1: unknown key "sto\x1b[31mre\x0a"; known here:)")));
  const std::vector<std::string> lines =
      Errors("learning: { min_time: " + std::string(100'000, '1') + "s }\n");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_LT(lines[0].size(), 1000u);
  EXPECT_THAT(lines[0], AllOf(StartsWith(":1:23: learning.min_time: \"1111"), HasSubstr("1…1"),
                              EndsWith("such as 24h or 50ms")));
}

TEST_F(ConfigTest, SinksAreAsManyAsThreadsMayBe) {
  std::string yaml = "sinks:\n";
  for (int i = 0; i < 33; ++i) {
    yaml += fmt::format("  - jsonl: {{ path: /tmp/{0}, name: n{0} }}\n", i);
  }
  EXPECT_THAT(Errors(yaml), ElementsAre(":2:3: sinks: has 33 sinks; write at most 32"));
}

TEST_F(ConfigTest, SetOverridesTheFile) {
  absl::StatusOr<Config> config =
      Load("learning: { min_time: 2h }\nsinks: [{ jsonl: { path: /a } }]\n",
           {"learning.min_time=3s", "metrics.listen=[::1]:9477", "sinks=[{jsonl: {path: /b}}]",
            "dns.resolvers=[10.0.0.1, ::1]", "store={dir: /s}", "api.socket=/a: b"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->learning.min_time, absl::Seconds(3));
  EXPECT_EQ(config->metrics.listen, "[::1]:9477");
  ASSERT_EQ(config->sinks.size(), 1u);
  EXPECT_EQ(std::get<JsonlSinkConfig>(config->sinks[0].sink).path, "/b");
  EXPECT_EQ(config->sinks[0].origin, "--set sinks");
  EXPECT_THAT(config->dns.resolvers, ElementsAre("10.0.0.1", "::1"));
  EXPECT_EQ(config->store.dir, "/s");
  EXPECT_EQ(config->api.socket, "/a: b");
  EXPECT_EQ(ConfigValue(*config, "learning.min_time"), "3s");
  EXPECT_EQ(ConfigValue(*config, "dns.resolvers"), "[10.0.0.1, ::1]");
  EXPECT_EQ(ConfigValue(*config, "no.such"), std::nullopt);
}

TEST_F(ConfigTest, TooLongASocketPathIsRefusedEarly) {
  EXPECT_THAT(Errors("api: { socket: /" + std::string(100, 'x') + " }\n"),
              ElementsAre(HasSubstr("of 101 bytes is too long for a Unix socket")));
}

// Every value the agent would print as its configuration can be read back.
TEST_F(ConfigTest, DefaultsCanBeSaidAloud) {
  for (const ConfigKeyInfo& info : ConfigKeys()) {
    if (info.path.find("[]") != std::string::npos || info.fallback == "off" ||
        info.fallback == "none") {
      continue;
    }
    EXPECT_THAT(Errors("", {info.path + "=" + info.fallback}), IsEmpty()) << info.path;
  }
}

TEST_F(ConfigTest, TheDocumentationListsEveryKeyAndNoOther) {
  std::ifstream doc("docs/configuration.md");
  ASSERT_TRUE(doc) << "run in the source directory";
  std::map<std::string, std::pair<std::string, std::string>> documented;
  const std::regex row(R"(\| `([^`]+)` \| ([^|]+) \| `([^`]+)` \| [^|]+ \|)");
  for (std::string line; std::getline(doc, line);) {
    std::smatch match;
    if (std::regex_match(line, match, row)) {
      EXPECT_TRUE(documented.emplace(match[1], std::pair(match[2], match[3])).second) << line;
    }
  }
  std::map<std::string, std::pair<std::string, std::string>> known;
  for (const ConfigKeyInfo& info : ConfigKeys()) {
    known.emplace(info.path, std::pair(info.type, info.fallback));
  }
  EXPECT_EQ(documented, known);
}

}  // namespace
}  // namespace vedette
