// SPDX-License-Identifier: Apache-2.0
// Bad input and hostile bytes: one sentence each that says what, where and what to do, the exit
// code that fits, and nothing left behind.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "agent/base/unique_fd.h"
#include "agent/base/utf8.h"
#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

void ExpectOneSentence(const std::string& err) {
  EXPECT_THAT(err, EndsWith("\n"));
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
}

// How GoogleTest names the case in its output.
struct BadConfig;
void PrintTo(const BadConfig& config, std::ostream* out);

struct BadConfig {
  std::string name;
  std::string yaml;
  std::vector<std::string> said;  // In the sentence, beside the configuration's path.
};

void PrintTo(const BadConfig& config, std::ostream* out) { *out << config.yaml; }

class AgentBadConfigTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(AgentBadConfigTest, IsOneSentenceAndNothingIsLeft) {
  AgentProcess agent;
  agent.SetConfig(GetParam().yaml);
  const auto result = agent.RunToEnd();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 1);
  EXPECT_EQ(result->out, "");
  ExpectOneSentence(result->err);
  EXPECT_THAT(result->err, HasSubstr(agent.config_path() + ":"));
  for (const std::string& part : GetParam().said) {
    EXPECT_THAT(result->err, HasSubstr(part));
  }
  EXPECT_FALSE(std::filesystem::exists(agent.pin_dir()));
  EXPECT_FALSE(std::filesystem::exists(agent.socket()));
  EXPECT_FALSE(std::filesystem::exists(agent.store_dir()));
}

INSTANTIATE_TEST_SUITE_P(
    All, AgentBadConfigTest,
    ::testing::Values(
        BadConfig{"UnknownKey", "colect: { poll: 50ms }", {":6:1: ", "colect", "collect"}},
        BadConfig{"UnknownKeyBelow", "collect: { pol: 50ms }", {":6:12: ", "pol", "poll"}},
        BadConfig{"WrongUnit", "collect: { poll: 50 parsecs }", {":6:18: ", "50 parsecs", "50ms"}},
        BadConfig{"WrongSize", "collect: { ring_size: 3MiB }", {":6:23: ", "3MiB", "power of two"}},
        BadConfig{"Cluster", "identity: { cluster: Prod }", {":6:22: ", "trust domain"}},
        BadConfig{"NotYaml", "collect: { poll: [", {"vedette.yaml:"}}),
    [](const auto& info) { return info.param.name; });

class AgentInputTest : public ::testing::Test {
 protected:
  static void ExpectNothingLeft(const AgentProcess& agent) {
    EXPECT_FALSE(std::filesystem::exists(agent.pin_dir()));
    EXPECT_FALSE(std::filesystem::exists(agent.socket()));
  }
  AgentProcess agent_;
};

TEST_F(AgentInputTest, AConfigurationThatIsNotThere) {
  const auto result = Child::Run({VEDETTE_BINARY, "run", "--config", agent_.dir() + "/no.yaml"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 1);
  ExpectOneSentence(result->err);
  EXPECT_THAT(result->err, HasSubstr(agent_.dir() + "/no.yaml"));
}

TEST_F(AgentInputTest, AHostWhoseNameHasCapitalLetters) {
  const std::string config = agent_.dir() + "/capital.yaml";
  ASSERT_TRUE(WriteFile(config, fmt::format("store: {{ dir: {0}/s }}\napi: {{ socket: {0}/a }}\n"
                                            "bpf: {{ pin_dir: {1} }}\n"
                                            "sinks: [{{ jsonl: {{ path: {0}/f }} }}]\n",
                                            agent_.dir(), agent_.pin_dir())));
  const std::string run = fmt::format("hostname Web-01 && exec {} run --duration 1s --config {}",
                                      VEDETTE_BINARY, config);
  const auto result = Child::Run({"unshare", "--uts", "sh", "-c", run});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->err;
  EXPECT_THAT(result->err, HasSubstr("on Web-01, kernel"));
}

TEST_F(AgentInputTest, AnOptionThatLibrdkafkaRefuses) {
  agent_.SetSinks(
      "sinks:\n  - kafka: { brokers: [\"127.0.0.1:1\"], librdkafka: { linger.mss: 5 } }\n");
  const auto result = agent_.RunToEnd();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 1);
  ExpectOneSentence(result->err);
  EXPECT_THAT(result->err, AllOf(HasSubstr(agent_.config_path() + ":5:"), HasSubstr("linger.mss")));
  ExpectNothingLeft(agent_);
}

TEST_F(AgentInputTest, ASecondAgentOnTheSameSocketPinsOrStore) {
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  AgentProcess same_socket, same_pins, same_store;
  const auto run = [](const AgentProcess& own, const std::string& sets, const std::string& value) {
    if (!WriteFile(own.config_path(), own.ConfigText())) {
      return ChildResult();
    }
    return Child::Run(
               {VEDETTE_BINARY, "run", "--config", own.config_path(), "--set", sets + "=" + value},
               kAgentBound)
        .value_or(ChildResult());
  };
  const ChildResult socket = run(same_socket, "api.socket", agent_.socket());
  EXPECT_EQ(socket.exit_code, 3);
  ExpectOneSentence(socket.err);
  EXPECT_THAT(socket.err, AllOf(HasSubstr(agent_.socket()), HasSubstr("agent")));
  EXPECT_FALSE(std::filesystem::exists(same_socket.pin_dir()));

  const ChildResult pins = run(same_pins, "bpf.pin_dir", agent_.pin_dir());
  EXPECT_EQ(pins.exit_code, 3);
  ExpectOneSentence(pins.err);
  EXPECT_THAT(pins.err, AllOf(HasSubstr(agent_.pin_dir()), HasSubstr("another agent")));
  EXPECT_FALSE(std::filesystem::exists(same_pins.socket()));

  const ChildResult store = run(same_store, "store.dir", agent_.store_dir());
  EXPECT_EQ(store.exit_code, 3);
  ExpectOneSentence(store.err);
  EXPECT_THAT(store.err, AllOf(HasSubstr(agent_.store_dir()), HasSubstr("another agent")));
  ExpectNothingLeft(same_store);

  // The first one is none the worse for it.
  EXPECT_THAT(agent_.Pins(), Not(IsEmpty()));
  EXPECT_THAT(agent_.Doctor()["problems"], IsEmpty());
}

// A bpffs of its own, so that a mistake of the agent's cannot reach the pins of this machine.
class OwnBpffs {
 public:
  OwnBpffs() { mounted_ = mount("bpf", dir_.path().c_str(), "bpf", 0, nullptr) == 0; }
  ~OwnBpffs() {
    if (mounted_) {
      umount2(dir_.path().c_str(), MNT_DETACH);
    }
  }
  bool mounted() const { return mounted_; }
  std::string operator/(std::string_view name) const { return dir_ / name; }
  // A map that is pinned there, as other programs do it.
  bool Pin(std::string_view name) const {
    const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 8, 1, nullptr));
    return bpf_obj_pin(map.get(), (dir_ / name).c_str()) == 0;
  }

 private:
  TempDir dir_;
  bool mounted_ = false;
};

TEST_F(AgentInputTest, PinsOfOtherProgramsStayWhateverThePinDirectoryIs) {
  const OwnBpffs bpffs;
  ASSERT_TRUE(bpffs.mounted());
  std::filesystem::create_directories(bpffs / "others/globals");
  ASSERT_TRUE(bpffs.Pin("map") && bpffs.Pin("others/map"));
  ASSERT_TRUE(WriteFile(agent_.config_path(), agent_.ConfigText()));
  for (const char* name : {"", "others"}) {
    const std::string pin_dir = bpffs / name;
    const auto result = Child::Run({VEDETTE_BINARY, "run", "--config", agent_.config_path(),
                                    "--set", "bpf.pin_dir=" + pin_dir},
                                   kAgentBound);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 3);
    ExpectOneSentence(result->err);
    EXPECT_THAT(result->err, AllOf(HasSubstr(pin_dir), HasSubstr("set bpf.pin_dir to")));
    ExpectNothingLeft(agent_);
  }
  for (const char* name : {"map", "others/map", "others/globals"}) {
    EXPECT_TRUE(std::filesystem::exists(bpffs / name)) << name;
  }
}

TEST_F(AgentInputTest, NoRoot) {
  TempDir dir;
  const auto result = Child::Run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                  VEDETTE_BINARY, "run", "--set", "store.dir=" + (dir / "store"),
                                  "--set", "api.socket=" + (dir / "agent.sock"), "--set",
                                  "bpf.pin_dir=" + agent_.pin_dir()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  ExpectOneSentence(result->err);
  EXPECT_THAT(result->err, AllOf(HasSubstr("root"), HasSubstr("sudo")));
  ExpectNothingLeft(agent_);
}

TEST_F(AgentInputTest, AStoreThatCannotBeWritten) {
  ASSERT_TRUE(WriteFile(agent_.store_dir(), "a file where a directory is to be"));
  const auto result = agent_.RunToEnd();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  ExpectOneSentence(result->err);
  EXPECT_THAT(result->err, AllOf(HasSubstr(agent_.store_dir()), HasSubstr("store.dir")));
  ExpectNothingLeft(agent_);
}

TEST_F(AgentInputTest, ADamagedStoreIsSetAsideAndTheAgentStarts) {
  ASSERT_TRUE(std::filesystem::create_directory(agent_.store_dir()));
  ASSERT_TRUE(WriteFile(agent_.store_dir() + "/vedette.db", std::string(20000, 'x')));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_THAT(agent_.Log(), HasSubstr("set aside as"));
  std::vector<std::string> aside;
  for (const auto& entry : std::filesystem::directory_iterator(agent_.store_dir())) {
    if (entry.path().string().find("damaged-") != std::string::npos) {
      aside.push_back(ReadFile(entry.path()));
    }
  }
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_EQ(aside[0], std::string(20000, 'x'));
  // It guards, and says until its next start that it begins without what it knew.
  EXPECT_EQ(agent_.Doctor()["status"], "degraded");
  EXPECT_THAT(agent_.Doctor()["problems"].dump(), HasSubstr("damaged"));
}

TEST_F(AgentInputTest, ABrokerThatCannotBeReachedDegradesAndLosesNothing) {
  agent_.SetSinks(
      fmt::format("sinks:\n  - jsonl: {{ path: {} }}\n  - kafka: {{ brokers: "
                  "[\"127.0.0.1:1\"], librdkafka: {{ message.timeout.ms: 1000 }} }}\n",
                  agent_.jsonl_path()));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  auto cgroup = ScopedCgroup::Create();
  ASSERT_TRUE(cgroup.ok());
  TempDir programs;
  ASSERT_TRUE(WriteProgram(programs / "new", "new"));
  ASSERT_TRUE(cgroup->Run({VEDETTE_ACTOR_PATH, "spawn:1"}).ok());
  agent_.FreezeOnce(WorkloadOf(*cgroup), "vedette_actor", 2);
  ASSERT_TRUE(cgroup->Run({VEDETTE_ACTOR_PATH, "spawn:1:" + (programs / "new")}).ok());
  const auto kafka = [&] {
    const Json doctor = agent_.Doctor();
    for (const Json& sink : doctor["sinks"]) {
      if (sink["name"] == "kafka:vedette.findings") {
        return sink;
      }
    }
    return Json::object();
  };
  ASSERT_TRUE(WaitFor([&] { return kafka().value("state", "") == "degraded"; }, kAgentBound));
  EXPECT_GE(kafka()["waiting"].get<int>(), 1);
  EXPECT_EQ(kafka()["delivered"], 0);
  const ChildResult doctor = agent_.Cli({"doctor"});
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("cannot be reached")));
  EXPECT_TRUE(WaitFor([&] { return agent_.FindingLines(programs.path()).size() == 1; }));
}

bool IsHarmless(const std::string& bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](char c) {
                       return c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
                     }) &&
         IsValidUtf8(bytes);
}

TEST_F(AgentInputTest, BytesThatWouldHarmATerminalReachEveryOutputEscaped) {
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  auto cgroup = ScopedCgroup::Create("/", "\x1b[2J\xff");
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  TempDir programs;
  const std::string program = programs / "evil\n\x1b[31m\xff\xfe\"\\\x7f\xc2\x9b";
  ASSERT_TRUE(WriteProgram(program, "evil"));
  ASSERT_TRUE(cgroup->Run({VEDETTE_ACTOR_PATH, "spawn:1"}).ok());
  std::string workload;
  const auto find_workload = [&] {
    const Json answer = agent_.Get("/v1/profiles");
    for (const Json& row : answer["profiles"]) {
      const std::string name = row["workload"];
      if (name.find("vedette-test-") != std::string::npos && name.find("2J") != std::string::npos) {
        workload = name;
      }
    }
    return !workload.empty();
  };
  ASSERT_TRUE(WaitFor(find_workload));
  EXPECT_TRUE(IsHarmless(workload)) << workload;
  agent_.FreezeOnce(workload, "vedette_actor", 2);
  auto events = Child::Spawn({VEDETTE_BINARY, "events", "-w", workload, "-n", "1", "-k", "exec",
                              "--socket", agent_.socket()});
  ASSERT_TRUE(events.ok());
  const std::vector<std::string> argv = {program, "two\nlines", "\x1b]0;title\x07", "\xff\xfe\x80",
                                         "caf\xc3\xa9"};
  // Until the tap is open no event comes of what is known; the program is new only once.
  ASSERT_TRUE(WaitFor([&] { return cgroup->Run(argv).ok() && !events->Running(); }));
  const auto told = events->Wait();
  ASSERT_TRUE(told.ok());
  EXPECT_TRUE(IsHarmless(told->out)) << told->out;
  EXPECT_THAT(told->out, HasSubstr("evil"));

  ASSERT_TRUE(WaitFor([&] { return agent_.Findings(workload).size() == 1; }));
  const Json finding = agent_.Findings(workload)[0];
  const std::string uid = finding["uid"];
  EXPECT_THAT(finding["process"]["path"].get<std::string>(), HasSubstr("\\xff\\xfe"));
  ASSERT_EQ(finding["process"]["argv"].size(), 5u);
  EXPECT_EQ(finding["process"]["argv"][4], "caf\xc3\xa9");
  const std::vector<std::vector<std::string>> commands = {
      {"finding", "list"},           {"finding", "show", uid}, {"profile", "list"},
      {"profile", "show", workload}, {"top", "--once"},        {"doctor"}};
  for (const auto& command : commands) {
    for (const char* format : {"table", "json", "jsonl"}) {
      std::vector<std::string> arguments = command;
      arguments.insert(arguments.end(), {"-o", format});
      const ChildResult result = agent_.Cli(arguments);
      EXPECT_EQ(result.exit_code, 0)
          << fmt::format("{}: {}", fmt::join(arguments, " "), result.err);
      EXPECT_TRUE(IsHarmless(result.out)) << fmt::format("{}", fmt::join(arguments, " "));
    }
  }
  EXPECT_TRUE(WaitFor([&] { return agent_.FindingLines(programs.path()).size() == 1; }));
  agent_.ExpectValidJsonLines();
  for (const std::string& line : agent_.JsonLines()) {
    EXPECT_TRUE(IsHarmless(line)) << line;
  }
  EXPECT_TRUE(IsHarmless(agent_.Log())) << agent_.Log();
}

}  // namespace
}  // namespace vedette::testing
