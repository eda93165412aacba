// SPDX-License-Identifier: Apache-2.0
// What Prometheus is told of workloads and their peers, from real acts to a real Prometheus.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(90);
constexpr char kNobody[] = "9";  // A port on which nobody listens.

class AgentMetricsTest : public ::testing::Test {
 protected:
  void Start(const std::string& more = "") {
    agent_.SetConfig("metrics: { listen: \"127.0.0.1:0\"" + more + " }\n");
    const absl::Status started = agent_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  // Samples by "name{labels}", after the kernel's counts were taken over.
  std::map<std::string, double> Scrape() {
    agent_.Get("/v1/top");
    std::map<std::string, double> samples;
    std::istringstream lines(Text());
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with('#')) {
        const size_t space = line.rfind(' ');
        samples[line.substr(0, space)] = std::stod(line.substr(space));
      }
    }
    return samples;
  }
  std::string Text() const {
    auto result = Child::Run(
        {"curl", "-sS", "--fail", "--unix-socket", agent_.socket(), "http://vedette/v1/metrics"});
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << result->err;
    return result.ok() ? result->out : "";
  }
  // Of what the workload did with whoever listens on `port`, whatever its name.
  double Peer(const std::string& metric, const std::string& port) {
    const std::string begin =
        fmt::format(R"(vedette_peer_{}{{workload="{}",direction="outbound",)", metric, workload());
    double sum = 0;
    for (const auto& [name, value] : Scrape()) {
      const bool here = name.find(fmt::format("port=\"{}\"", port)) != std::string::npos;
      sum += here && name.starts_with(begin) ? value : 0;
    }
    return sum;
  }
  double Workload(const std::string& name) {
    return Scrape()[fmt::format(R"(vedette_workload_{}{{workload="{}"}})", name, workload())];
  }
  std::string Act(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    auto result = cgroup_.Run(std::move(acts), kLong);
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << result.status();
    return result.ok() ? result->out : "";
  }
  // In a network of its own, where port 53 is free.
  void ActAlone(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    absl::StatusOr<ScopedNetns> netns = ScopedNetns::Create();
    ASSERT_TRUE(netns.ok()) << netns.status();
    auto child = Child::Spawn({std::move(acts), {}, cgroup_.fd(), netns->fd()});
    ASSERT_TRUE(child.ok()) << child.status();
    ASSERT_EQ(child->Wait(kLong)->exit_code, 0);
  }
  const std::string& workload() const { return workload_; }

  AgentProcess agent_;
  ScopedCgroup cgroup_ = ScopedCgroup::Create().value();
  std::string workload_ = WorkloadOf(cgroup_);
  Listener listener_;
};

TEST_F(AgentMetricsTest, KnownFlowsAreCountedToTheSingleOneWithoutARecord) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string port = std::to_string(listener_.port());
  // Known from here on, by the workload's code and peer.
  Act({"connect:" + port, std::string("connect:") + kNobody, "spawn:1"});
  ASSERT_TRUE(WaitFor([&] { return Peer("connections_total", port) == 1; }));
  ASSERT_TRUE(WaitFor([&] { return Workload("execs_total") == 2; }));
  const uint64_t records = (*agent_.Top(workload()))["records"].get<uint64_t>();

  Act({"connect:" + port + ":700", std::string("connect:") + kNobody + ":30", "spawn:20"});
  EXPECT_TRUE(WaitFor([&] { return Workload("execs_total") == 23; })) << Workload("execs_total");
  EXPECT_TRUE(WaitFor([&] { return Peer("connect_seconds_count", port) == 701; }));
  EXPECT_EQ(Peer("connections_total", port), 701);
  EXPECT_EQ(Peer("failures_total", port), 0);
  EXPECT_EQ(Peer("connections_total", kNobody), 31);
  EXPECT_EQ(Peer("failures_total", kNobody), 31);
  EXPECT_EQ(Peer("connect_seconds_count", kNobody), 0);
  // It was not told: all that came are forks, exits and the like of the processes.
  EXPECT_LT((*agent_.Top(workload()))["records"].get<uint64_t>() - records, 200u);
}

TEST_F(AgentMetricsTest, DnsAnswersWithAnErrorAreCountedEachTime) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ActAlone({"dns:fail", "dns", "dns:fail", "dns:fail"});
  // The same answer is told once in half a minute; it is counted by the kernel.
  EXPECT_TRUE(WaitFor([&] { return Workload("dns_failures_total") == 3; }))
      << Workload("dns_failures_total");
}

TEST_F(AgentMetricsTest, AnAgentThatWasKilledDoesNotCountTwice) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string port = std::to_string(listener_.port());
  const auto count = [&](const char* metric) { return Peer(metric, port); };
  Act({"connect:" + port + ":100"});
  ASSERT_TRUE(WaitFor([&] { return count("connect_seconds_count") == 100; }));
  // What was taken is in the store with the next commit.
  agent_.Get("/v1/findings");
  agent_.Kill();
  Act({"connect:" + port + ":50"});
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_TRUE(WaitFor([&] { return count("connections_total") == 50; }))
      << count("connections_total");
  EXPECT_EQ(count("connect_seconds_count"), 50);
  // The service map goes on where the profiles stopped.
  const Json peers = agent_.Get("/v1/top/peers")["peers"];
  for (const Json& row : peers) {
    if (row["workload"] == workload() && row["direction"] == "outbound") {
      EXPECT_EQ(row["connections"], 150) << row;
    }
  }
}

TEST_F(AgentMetricsTest, BeyondTheBoundTheTotalStaysExact) {
  ASSERT_NO_FATAL_FAILURE(Start(", max_series: 100"));
  std::vector<std::string> acts;
  for (int port = 2001; port <= 2060; ++port) {
    acts.push_back(fmt::format("connect:{}:3", port));
  }
  ActAlone(acts);  // Where nobody listens on any of them.
  const auto total = [&] {
    double sum = 0;
    for (const auto& [name, value] : Scrape()) {
      sum += name.starts_with("vedette_peer_failures_total{workload=\"" + workload()) ||
                     name.starts_with("vedette_peer_failures_total{workload=\"other\"")
                 ? value
                 : 0;
    }
    return sum;
  };
  EXPECT_TRUE(WaitFor([&] { return total() >= 180; })) << total();
  size_t series = 0;
  bool other = false;
  for (const auto& [name, value] : Scrape()) {
    series += name.find("{workload=") != std::string::npos ? 1 : 0;
    other = other || name.find("peer=\"other\"") != std::string::npos;
  }
  EXPECT_LE(series, 100u);
  EXPECT_TRUE(other);
  EXPECT_THAT(agent_.Log(), HasSubstr("metrics.max_series: "));
}

TEST_F(AgentMetricsTest, TheServiceMapHasAnEdgeBetweenTwoWorkloads) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ScopedCgroup served = ScopedCgroup::Create().value();
  auto server = served.Spawn({VEDETTE_ACTOR_PATH, "serve:50"});
  ASSERT_TRUE(server.ok()) << server.status();
  absl::StatusOr<std::string> line = server->ReadLine();
  ASSERT_TRUE(line.ok()) << line.status();
  const std::string port = line->substr(line->rfind('=') + 1);
  ASSERT_TRUE(WaitFor([&] {
    return !AgentProcess::Entries(agent_.Profile(WorkloadOf(served)), "behaviours", "listen", "")
                .empty();
  }));
  Act({"connect:" + port + ":50"});
  const auto edge = [&]() -> Json {
    const Json peers = agent_.Get("/v1/top/peers")["peers"];
    for (const Json& row : peers) {
      if (row["workload"] == workload() && row.value("peer_workload", "") == WorkloadOf(served)) {
        return row;
      }
    }
    return {};
  };
  ASSERT_TRUE(WaitFor([&] { return !edge().is_null() && edge()["connections"] == 50; }))
      << agent_.Get("/v1/top/peers").dump();
  EXPECT_EQ(std::to_string(edge()["port"].get<int>()), port);
  EXPECT_EQ(edge()["protocol"], "tcp");
  EXPECT_EQ(edge()["failures"], 0);
  EXPECT_GT(edge()["connect_median_seconds"], 0.0);
  EXPECT_LE(edge()["connect_median_seconds"], edge()["connect_p99_seconds"]);
  // The other end, with the round trip of what it accepted.
  const auto accepted = [&]() -> Json {
    const Json peers = agent_.Get("/v1/top/peers")["peers"];
    for (const Json& row : peers) {
      if (row["workload"] == WorkloadOf(served) && row["direction"] == "inbound") {
        return row;
      }
    }
    return {};
  };
  ASSERT_TRUE(WaitFor([&] { return accepted().contains("rtt_median_seconds"); }))
      << agent_.Get("/v1/top/peers").dump();
  EXPECT_GT(accepted()["rtt_median_seconds"], 0.0);
  const auto measured = [&] {
    double sum = 0;
    for (const auto& [name, value] : Scrape()) {
      sum += name.starts_with("vedette_peer_rtt_seconds_count{workload=\"" + WorkloadOf(served))
                 ? value
                 : 0;
    }
    return sum;
  };
  EXPECT_TRUE(WaitFor([&] { return measured() == 50; })) << measured();

  const ChildResult dot = agent_.Cli({"top", "--peers", "-o", "dot"});
  ASSERT_EQ(dot.exit_code, 0) << dot.err;
  EXPECT_THAT(dot.out, HasSubstr(fmt::format("\"workload {}\" -> \"workload {}\"", workload(),
                                             WorkloadOf(served))));
  const std::string path = agent_.dir() + "/map.dot";
  ASSERT_TRUE(WriteFile(path, dot.out));
  auto drawn = Child::Run({"dot", "-Tsvg", "-o", agent_.dir() + "/map.svg", path}, kLong);
  ASSERT_TRUE(drawn.ok()) << drawn.status();
  EXPECT_EQ(drawn->exit_code, 0) << drawn->err;
  EXPECT_EQ(drawn->err, "");
  EXPECT_EQ(agent_.Cli({"top", "--peers", "--once"}).exit_code, 0);
}

TEST_F(AgentMetricsTest, PromtoolHasNothingToSay) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Act({"connect:" + std::to_string(listener_.port()), std::string("connect:") + kNobody, "udp",
       "flow", "spawn:1"});
  ActAlone({"dns:fail"});
  ASSERT_TRUE(WaitFor([&] { return Workload("dns_failures_total") == 1; }));
  auto promtool = Child::Spawn({"promtool", "check", "metrics"});
  ASSERT_TRUE(promtool.ok()) << promtool.status();
  ASSERT_TRUE(promtool->Write(Text()));
  promtool->CloseInput();
  auto result = promtool->Wait(kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->out << result->err;
  EXPECT_EQ(result->out + result->err, "");
  EXPECT_EQ(Scrape().count(R"(vedette_bookkeeping_total{what="told_twice"})"), 1u);
  auto rules = Child::Run({"promtool", "check", "rules", "deploy/prometheus/vedette.rules.yml"});
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_EQ(rules->exit_code, 0) << rules->err;
}

// "a", "a.b", "a.0.b": what an answer is made of. Of lists their first item; of counts by reason
// none.
void KeysOf(const nlohmann::json& value, const std::string& path, std::set<std::string>& keys) {
  const std::set<std::string> by_reason = {"dropped", "kernel_errors", "degradations"};
  for (const auto& [key, inner] : value.items()) {
    const std::string name = path + (path.empty() ? "" : ".") + key;
    keys.insert(name);
    if (inner.is_object() && by_reason.count(key) == 0) {
      KeysOf(inner, name, keys);
    } else if (inner.is_array() && !inner.empty() && inner[0].is_object()) {
      KeysOf(inner[0], name + ".0", keys);
    }
  }
}

TEST_F(AgentMetricsTest, DoctorsAnswerHasTheShapeOfTheDocumentation) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string document = ReadFile("docs/api.md");
  const size_t begin = document.find("{", document.find("**doctor**"));
  const std::string sample = document.substr(begin, document.find("```", begin) - begin);
  std::set<std::string> told, documented;
  KeysOf(agent_.Doctor(), "", told);
  KeysOf(nlohmann::json::parse(sample, nullptr, /*allow_exceptions=*/false), "", documented);
  EXPECT_EQ(told, documented);
}

TEST_F(AgentMetricsTest, EveryQueryOfTheDashboardHasAnAnswer) {
  ASSERT_NO_FATAL_FAILURE(Start());
  constexpr std::string_view kPort = "metrics: on http://127.0.0.1:";
  const std::string log = agent_.Log();
  ASSERT_THAT(log, HasSubstr(kPort));
  const std::string port = std::to_string(std::stoi(log.substr(log.find(kPort) + kPort.size())));
  const TempDir dir("vedette-prometheus");
  auto check = Child::Spawn({"tests/e2e/prometheus_check.py", "127.0.0.1:" + port, dir.path()});
  ASSERT_TRUE(check.ok()) << check.status();
  const std::string known = std::to_string(listener_.port());
  const bool ended = WaitFor(
      [&] {
        Act({"connect:" + known + ":20", std::string("connect:") + kNobody + ":5", "spawn:2"});
        agent_.Get("/v1/top");
        return !check->Running();
      },
      kLong);
  ASSERT_TRUE(ended);
  auto result = check->Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->out << result->err;
  EXPECT_THAT(result->out, HasSubstr("queries answered"));
}

}  // namespace
}  // namespace vedette::testing
