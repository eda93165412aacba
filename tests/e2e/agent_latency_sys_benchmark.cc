// SPDX-License-Identifier: Apache-2.0
// How long a deviation takes from the act, as the kernel times it, to the acknowledgement of a real
// Apache Kafka on this machine: the whole agent of this build in its default configuration. Needs
// root. agent_latency_sys_benchmark [ACTS] [LIBRDKAFKA], the latter like "linger.ms: 5".
// Exit: 0 measured, whatever the figures; 3 could not measure.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "agent/base/status.h"
#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/kafka/kafka_broker.h"

namespace vedette::testing {
namespace {

constexpr int kDefaultActs = 1000;
// A broker that has just started compiles its code while it answers, and refuses the first
// producer's number once: not what a broker in service does.
constexpr int kWarmUpActs = 400;
constexpr int kActsOfOne = 200;  // Fewer than the deviations that a profile keeps.
constexpr int kPollMs = 50;      // collect.poll's default.
constexpr absl::Duration kBound = absl::Seconds(20);

struct Delays {
  std::vector<double> spooled_ms, sent_ms, delivered_ms;
};

class Node {
 public:
  // Starts broker and agent, and lets it learn as many workloads as `acts` need.
  absl::Status Start(const std::string& librdkafka, int acts);
  // New programs that the workloads execute, one after the other.
  absl::Status Deviate(int count);
  // Of the deviations since the last call; waits until all are delivered.
  absl::StatusOr<Delays> TakeDelays(int count);

 private:
  absl::Status DeviateIn(const ScopedCgroup& cgroup, int count);
  Delays ReadDelays() const;

  std::unique_ptr<KafkaBroker> broker_;
  AgentProcess agent_;
  std::vector<ScopedCgroup> cgroups_;
  TempDir programs_{"vedette-programs"};
  int acts_ = 0;
  size_t taken_ = 0;
};

absl::Status Node::Start(const std::string& librdkafka, int acts) {
  VEDETTE_ASSIGN_OR_RETURN(broker_, KafkaBroker::Create({}));
  VEDETTE_RETURN_IF_ERROR(broker_->CreateTopic("vedette.findings", 3));
  VEDETTE_RETURN_IF_ERROR(broker_->CreateTopic("vedette.ledger", 1));
  agent_.SetConfig("log: { level: debug }\nfindings: { per_hour: 1000 }\n");
  agent_.SetSinks(fmt::format("sinks:\n  - kafka: {{ brokers: [\"{}\"], librdkafka: {{ {} }} }}\n",
                              broker_->address(), librdkafka));
  VEDETTE_RETURN_IF_ERROR(agent_.Start());
  for (int i = 0; i < acts; i += kActsOfOne) {
    VEDETTE_ASSIGN_OR_RETURN(ScopedCgroup cgroup, ScopedCgroup::Create());
    VEDETTE_RETURN_IF_ERROR(cgroup.Run({VEDETTE_ACTOR_PATH, "spawn:1"}).status());
    agent_.FreezeOnce(WorkloadOf(cgroup), "vedette_actor", 2);
    cgroups_.push_back(std::move(cgroup));
  }
  return ::testing::Test::HasFailure() ? absl::InternalError("a workload was not learned")
                                       : absl::OkStatus();
}

absl::Status Node::Deviate(int count) {
  for (const int end = acts_ + count; acts_ < end;) {
    const int now = std::min(end - acts_, kActsOfOne - acts_ % kActsOfOne);
    VEDETTE_RETURN_IF_ERROR(DeviateIn(cgroups_[static_cast<size_t>(acts_ / kActsOfOne)], now));
    acts_ += now;
  }
  return absl::OkStatus();
}

absl::Status Node::DeviateIn(const ScopedCgroup& cgroup, int count) {
  std::vector<std::string> argv = {VEDETTE_ACTOR_PATH};
  for (int i = acts_; i < acts_ + count; ++i) {
    const std::string path = programs_ / fmt::format("program-{:05}", i);
    if (!WriteProgram(path, path)) {
      return absl::ErrnoToStatus(errno, path);
    }
    argv.insert(argv.end(), {"wait", "spawn:1:" + path});
  }
  VEDETTE_ASSIGN_OR_RETURN(Child actor, cgroup.Spawn(argv));
  for (int i = 0; i < count; ++i) {
    VEDETTE_RETURN_IF_ERROR(actor.ReadLine().status());
    LetPass(absl::Milliseconds(20 + (i * 7) % 41));  // At any phase of the poll.
    if (!actor.Write("\n")) {
      return absl::UnavailableError("the actor has ended: " + actor.Err());
    }
    VEDETTE_RETURN_IF_ERROR(actor.ReadLine().status());
  }
  return absl::OkStatus();
}

// The agent's own lines, written at level debug. Ledger records are no deviations.
Delays Node::ReadDelays() const {
  Delays delays;
  std::istringstream log(agent_.Log());
  for (std::string line; std::getline(log, line);) {
    const size_t at = line.find(": in the spool ");
    double spooled = 0, delivered = 0;
    if (at != std::string::npos && line.find(": ledger/") == std::string::npos &&
        std::sscanf(line.c_str() + at, ": in the spool %lf ms after the act, delivered %lf ms",
                    &spooled, &delivered) == 2) {
      delays.spooled_ms.push_back(spooled);
      delays.sent_ms.push_back(delivered - spooled);
      delays.delivered_ms.push_back(delivered);
    }
  }
  return delays;
}

absl::StatusOr<Delays> Node::TakeDelays(int count) {
  const size_t wanted = taken_ + static_cast<size_t>(count);
  if (!WaitFor([&] { return ReadDelays().delivered_ms.size() >= wanted; }, kBound)) {
    return absl::UnavailableError(fmt::format("{} of {} deviations were delivered",
                                              ReadDelays().delivered_ms.size() - taken_, count));
  }
  Delays delays = ReadDelays();
  for (auto* values : {&delays.spooled_ms, &delays.sent_ms, &delays.delivered_ms}) {
    values->erase(values->begin(), values->begin() + static_cast<ptrdiff_t>(taken_));
  }
  taken_ = wanted;
  return delays;
}

void Print(const char* what, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&values](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
  };
  fmt::print("{:<34} p50 {:6.2f}  p90 {:6.2f}  p99 {:6.2f}  p99.9 {:6.2f}  most {:6.2f} ms\n", what,
             at(0.5), at(0.9), at(0.99), at(0.999), values.back());
}

absl::Status Run(int acts, const std::string& librdkafka) {
  Node node;
  VEDETTE_RETURN_IF_ERROR(node.Start(librdkafka, kWarmUpActs + acts));
  VEDETTE_RETURN_IF_ERROR(node.Deviate(kWarmUpActs));
  VEDETTE_ASSIGN_OR_RETURN(const Delays warm, node.TakeDelays(kWarmUpActs));
  VEDETTE_RETURN_IF_ERROR(node.Deviate(acts));
  VEDETTE_ASSIGN_OR_RETURN(const Delays timed, node.TakeDelays(acts));
  fmt::print("{} acts after {} to warm up, poll interval {} ms, librdkafka: {{ {} }}\n", acts,
             kWarmUpActs, kPollMs, librdkafka);
  Print("the act to the exporter", timed.spooled_ms);
  Print("the exporter to Kafka's ack", timed.sent_ms);
  Print("the act to Kafka's ack", timed.delivered_ms);
  Print("the same, broker just started", warm.delivered_ms);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vedette::testing

int main(int argc, char** argv) {
  if (geteuid() != 0) {
    fmt::print(stderr, "agent_latency_sys_benchmark: needs root; run it with sudo\n");
    return 3;
  }
  const int acts = argc > 1 ? std::atoi(argv[1]) : vedette::testing::kDefaultActs;
  const absl::Status status = vedette::testing::Run(std::max(acts, 1), argc > 2 ? argv[2] : "");
  if (!status.ok()) {
    fmt::print(stderr, "agent_latency_sys_benchmark: {}\n", vedette::Message(status));
    return 3;
  }
}
