// SPDX-License-Identifier: Apache-2.0
// What a learned service costs, and what one that does everything there is cannot do to others.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/loopback_peer.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kLong = absl::Seconds(90);

// A cgroup with the actor in it: a service that does what the test says.
class Service {
 public:
  explicit Service(AgentProcess* agent)
      : agent_(agent), cgroup_(ScopedCgroup::Create().value()), workload_(WorkloadOf(cgroup_)) {}

  absl::StatusOr<Child> Begin(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    return cgroup_.Spawn(std::move(acts));
  }
  std::string Act(std::vector<std::string> acts) {
    acts.insert(acts.begin(), VEDETTE_ACTOR_PATH);
    auto result = cgroup_.Run(std::move(acts), kLong);
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << result.status();
    return result.ok() ? result->out : "";
  }
  uint64_t Count(std::string_view channel, std::string_view object) const {
    uint64_t count = 0;
    const Json profile = agent_->Profile(workload_);
    for (const char* list : {"behaviours", "deviations"}) {
      for (const Json& entry : AgentProcess::Entries(profile, list, channel, object)) {
        count += entry["count"].get<uint64_t>();
      }
    }
    return count;
  }
  uint64_t Records() const {
    const auto row = agent_->Top(workload_);
    return row ? (*row)["records"].get<uint64_t>() : 0;
  }
  const std::string& workload() const { return workload_; }

 private:
  AgentProcess* const agent_;
  ScopedCgroup cgroup_;
  std::string workload_;
};

uint64_t KernelRecords(const Json& doctor) {
  uint64_t sum = 0;
  for (const Json& row : doctor["ledger"]) {
    sum += row["stage"] == "kernel" ? row["received"].get<uint64_t>() : 0;
  }
  return sum;
}

class AgentLearnedTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(agent_.Start().ok()) << agent_.Log(); }
  // Told once per cache that it has no room left.
  void ExpectOneOverflowEach(const std::string& workload, const std::map<std::string, int>& once) {
    const auto overflows = [&] {
      std::map<std::string, int> by_channel;
      for (const Json& finding : agent_.Findings(workload)) {
        if (finding["kind"] == "cache-overflow") {
          by_channel[finding["behaviour"]["channel"]] += finding["count"].get<int>();
        }
      }
      return by_channel;
    };
    EXPECT_TRUE(WaitFor([&] { return overflows() == once; })) << Json(overflows()).dump();
  }
  // Who is no longer judged is named, with how much that is.
  struct Full {
    std::string_view caches;
    uint64_t at_least = 0;  // So many acts.
  };
  void ExpectToldAsFull(const Json& doctor, const std::string& workload, const Full& full) {
    ASSERT_EQ(doctor["full"].size(), 1u) << doctor["full"].dump();
    const Json& row = doctor["full"][0];
    EXPECT_EQ(row["workload"], workload);
    EXPECT_EQ(row["caches"], full.caches);
    EXPECT_GE(row["not_judged"], full.at_least);
    EXPECT_THAT(agent_.Profile(workload)["state_text"].get<std::string>(),
                HasSubstr("; cache full, "));
  }
  AgentProcess agent_;
};

TEST_F(AgentLearnedTest, AHundredThousandConnectsAndTwentyThousandExecsMakeNoRecord) {
  constexpr uint64_t kConnects = 100'000, kExecs = 20'000;
  TempDir programs("vedette-programs");
  const std::string program = programs / "known";
  ASSERT_TRUE(WriteProgram(program, "known"));
  Listener listener;
  Service service(&agent_);
  const std::string peer = fmt::format(":{}/tcp", listener.port());
  service.Act({"spawn:1:" + program, fmt::format("connect-reset:{}:1", listener.port())});
  ASSERT_TRUE(WaitFor([&] { return service.Count("connect", peer) == 1; }));
  ASSERT_EQ(service.Count("exec", program), 1u);
  agent_.Freeze(service.workload());

  const uint64_t records = service.Records();
  const uint64_t before = KernelRecords(agent_.Doctor());
  const absl::Time begin = absl::Now();
  EXPECT_EQ(service.Act({fmt::format("connect-reset:{}:{}", listener.port(), kConnects),
                         fmt::format("spawn:{}:{}", kExecs, program)}),
            fmt::format("connect-reset ok={} failed=0\nspawn done={}\n", kConnects, kExecs));
  const absl::Duration took = absl::Now() - begin;

  EXPECT_EQ(service.Count("connect", peer), 1 + kConnects);
  EXPECT_EQ(service.Count("exec", program), 1 + kExecs);
  EXPECT_EQ(service.Records(), records);
  EXPECT_THAT(agent_.Findings(service.workload()), IsEmpty());
  // By the kernel's own numbers, too; whatever else runs on this machine has its share in them.
  const uint64_t after = KernelRecords(agent_.Doctor());
  EXPECT_LT(after - before, (kConnects + kExecs) / 100);
  const Json exported = agent_.Profile(service.workload());
  EXPECT_THAT(AgentProcess::Entries(exported, "deviations", "exec", ""), IsEmpty());
  fmt::print("{} connects and {} execs in {}, {} records of the whole machine meanwhile\n",
             kConnects, kExecs, absl::FormatDuration(took), after - before);
}

TEST_F(AgentLearnedTest, AServiceThatDoesEverythingTakesNothingFromAnother) {
  constexpr int kDestinations = 1'000'000, kPrograms = 10'000;
  TempDir programs("vedette-programs"), others("vedette-others");
  for (int i = 0; i < kPrograms; ++i) {
    ASSERT_TRUE(WriteProgram(programs / fmt::format("{:05}", i), std::to_string(i)));
  }
  constexpr int kNew = 40;
  TempDir fresh("vedette-fresh");
  for (int i = 0; i < kNew; ++i) {
    ASSERT_TRUE(WriteProgram(fresh / fmt::format("new-{:02}", i), "new" + std::to_string(i)));
  }
  const std::string known = others / "known";
  ASSERT_TRUE(WriteProgram(known, "known"));
  Listener listener;
  Service wild(&agent_), quiet(&agent_);
  const std::string peer = fmt::format(":{}/tcp", listener.port());
  const std::string usual = fmt::format("connect-reset:{}:", listener.port());
  quiet.Act({"spawn:1:" + known, usual + "1"});
  wild.Act({"nothing"});
  ASSERT_TRUE(WaitFor([&] { return quiet.Count("connect", peer) == 1; }));
  ASSERT_TRUE(WaitFor([&] { return wild.Count("exec", "vedette_actor") == 1; }));
  agent_.Freeze(quiet.workload());
  const uint64_t records = quiet.Records();
  const uint64_t resident = agent_.Doctor()["memory"]["resident_bytes"];

  auto storm = wild.Begin({fmt::format("udp:{}", kDestinations), "spawn-each:" + programs.path()});
  ASSERT_TRUE(storm.ok()) << storm.status();
  uint64_t rounds = 0;
  while (storm->Running()) {
    quiet.Act({"spawn:20:" + known, usual + "20"});
    ++rounds;
    if (rounds == 3) {
      quiet.Act({"spawn-each:" + fresh.path()});
    }
  }
  auto result = storm->Wait(kLong);
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  EXPECT_EQ(result->out,
            fmt::format("udp ok={} failed=0\nspawn-each done={}\n", kDestinations, kPrograms));

  // The other service: every act counted, nothing known told again, nothing new lost.
  EXPECT_GE(rounds, 3u);
  EXPECT_TRUE(WaitFor([&] { return agent_.Findings(quiet.workload()).size() >= kNew; }, kLong));
  EXPECT_EQ(quiet.Count("exec", known), 1 + 20 * rounds);
  EXPECT_EQ(quiet.Count("connect", peer), 1 + 20 * rounds);
  EXPECT_EQ(quiet.Count("exec", fresh.path()), static_cast<uint64_t>(kNew));
  EXPECT_EQ(quiet.Records(), records + 2 * kNew);  // Each new program, and its end.
  const std::vector<Json> findings = agent_.Findings(quiet.workload());
  EXPECT_EQ(findings.size(), static_cast<size_t>(kNew));
  for (const Json& finding : findings) {
    EXPECT_THAT(finding["title"].get<std::string>(), HasSubstr(fresh.path()));
  }
  ExpectOneOverflowEach(wild.workload(), {{"connect", 1}, {"exec", 1}});
  const Json doctor = agent_.Doctor();
  const uint64_t after = doctor["memory"]["resident_bytes"];
  EXPECT_LT(after, resident + (48u << 20));
  EXPECT_THAT(doctor["problems"], IsEmpty()) << doctor["problems"].dump();
  ExpectToldAsFull(doctor, wild.workload(), {"code, flow", kDestinations / 2});
  for (const Json& cache : doctor["cache"]) {
    EXPECT_EQ(cache["full"], cache["name"] == "inbound" ? 0 : 1) << cache.dump();
  }
  agent_.ExpectValidJsonLines();
  fmt::print(
      "{} destinations and {} programs; resident {} MB before, {} MB after; {} records of "
      "the wild one\n",
      kDestinations, kPrograms, resident >> 20, after >> 20, wild.Records());
}

class AgentInboundTest : public AgentLearnedTest {
 protected:
  void SetUp() override {
    agent_.SetConfig("cache: { inbound_entries: 16 }\n");
    AgentLearnedTest::SetUp();
  }
};

TEST_F(AgentInboundTest, WhoFillsTheCacheFromOutsideHidesNothingThatTheServerConnectsTo) {
  constexpr uint32_t kPeers = 80;
  Listener listener;
  Service service(&agent_);
  auto server = service.Begin(
      {fmt::format("serve:{}", kPeers), fmt::format("connect-reset:{}:1", listener.port())});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string line = server->ReadLine().value_or("");
  ASSERT_THAT(line, HasSubstr("port="));
  const auto port = static_cast<uint16_t>(std::stoi(line.substr(line.find("port=") + 5)));
  ASSERT_TRUE(WaitFor([&] { return service.Count("exec", "vedette_actor") == 1; }));
  agent_.Freeze(service.workload());
  ConnectLoopbackPeers(port, 1, kPeers);
  ASSERT_EQ(server->Wait(kLong)->exit_code, 0);

  const auto connects = [&] {
    size_t count = 0;
    for (const Json& finding : agent_.Findings(service.workload())) {
      count += finding["kind"] == "deviation" && finding["behaviour"]["channel"] == "connect";
    }
    return count;
  };
  EXPECT_TRUE(WaitFor([&] { return connects() == 1; }));
  ExpectOneOverflowEach(service.workload(), {{"accept", 1}});
  ExpectToldAsFull(agent_.Doctor(), service.workload(), {"inbound", kPeers - 16});
}

}  // namespace
}  // namespace vedette::testing
