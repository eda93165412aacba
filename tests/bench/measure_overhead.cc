// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>

#include "agent/base/status.h"
#include "tests/bench/measure.h"
#include "tests/bench/pins.h"

namespace vedette::bench {
namespace {

constexpr absl::Duration kLearningSlice = absl::Milliseconds(20);
constexpr double kTcpTarget = 0.95;
constexpr double kTarget = 0.97;
constexpr double kFilesTarget = 0.75;
constexpr double kStartTarget = 0.3;

// Tries for every pair that is wanted; others are thrown away.
constexpr int kTriesPerPair = 3;
constexpr absl::Duration kFreeingBound = absl::Seconds(1);

struct Slices {
  std::map<std::string, Slice> by_load;
  bool is_disturbed = false;  // Another agent was at work too, which would count for both sides.
};

absl::StatusOr<Slices> RunAll(const BenchNode& node, absl::Duration slice, int agents) {
  Slices slices;
  slices.is_disturbed = CountAgents() != agents;
  for (const std::string& load : node.loads()) {
    VEDETTE_ASSIGN_OR_RETURN(slices.by_load[load], node.Run(load, slice));
  }
  slices.is_disturbed |= CountAgents() != agents;
  return slices;
}

// The kernel frees the programs of an agent that has ended a moment after its process is gone.
absl::Status AwaitAgents(int count) {
  const absl::Time bound = absl::Now() + kFreeingBound;
  while (CountAgents() > count && absl::Now() < bound) {
    VEDETTE_RETURN_IF_ERROR(Pause(absl::Milliseconds(10)));
  }
  return absl::OkStatus();
}

}  // namespace

// Off, on, on, off, off, on …: what drifts on the machine meets both alike, and the agent is
// started once for two pairs.
absl::StatusOr<std::vector<Figure>> MeasureOverhead(const BenchNode& node, const Extent& extent) {
  std::map<std::string, Figure> cpu;
  Figure scraped = {"scrapes of an agent's metrics meanwhile", "", Target::kNone, 0, {}};
  Figure wall = {"server, requests per second, on/off", "ratio", Target::kAtLeast, kTarget, {}};
  Figure start = {"start, exec to socket answering", "s", Target::kAtMost, kStartTarget, {}};
  Figure first = {"first start, empty store", "s", Target::kNone, 0, {}};
  for (const std::string& load : node.loads()) {
    const bool is_net = load == "tcp";
    const bool files = node.place().files;
    // With files watched, every system call pays; the goal is one for opens.
    const bool is_judged = files ? load == "open" : load != "server" && load != kCreateLoad;
    cpu[load] = {fmt::format("{}, operations per CPU-second, on/off", load),
                 "ratio",
                 is_judged ? Target::kAtLeast : Target::kNone,
                 files    ? kFilesTarget
                 : is_net ? kTcpTarget
                          : kTarget,
                 {}};
  }
  {
    VEDETTE_ASSIGN_OR_RETURN(AgentProcess agent, node.StartLearnedAgent(kLearningSlice));
    first.samples.Add(absl::ToDoubleSeconds(agent.start_time()));
  }
  VEDETTE_RETURN_IF_ERROR(AwaitAgents(0));
  std::optional<AgentProcess> agent;
  int disturbed = 0;
  for (int pair = 0; pair < extent.pairs + disturbed;) {
    Slices off, on;
    if (!agent) {
      VEDETTE_ASSIGN_OR_RETURN(off, RunAll(node, extent.slice, 0));
      VEDETTE_ASSIGN_OR_RETURN(AgentProcess started, node.StartLearnedAgent(kLearningSlice));
      start.samples.Add(absl::ToDoubleSeconds(started.start_time()));
      agent.emplace(std::move(started));
      agent->BeginScrapes();
      VEDETTE_ASSIGN_OR_RETURN(on, RunAll(node, extent.slice, 1));
    } else {
      VEDETTE_ASSIGN_OR_RETURN(on, RunAll(node, extent.slice, 1));
      VEDETTE_ASSIGN_OR_RETURN(const int answered, agent->EndScrapes());
      scraped.samples.Add(answered);
      agent.reset();
      VEDETTE_RETURN_IF_ERROR(AwaitAgents(0));
      VEDETTE_ASSIGN_OR_RETURN(off, RunAll(node, extent.slice, 0));
    }
    ++pair;
    if ((off.is_disturbed || on.is_disturbed) && disturbed < (kTriesPerPair - 1) * extent.pairs) {
      ++disturbed;
      continue;
    }
    for (const std::string& load : node.loads()) {
      cpu[load].samples.Add(on.by_load[load].PerCpuSecond() / off.by_load[load].PerCpuSecond());
    }
    if (off.by_load.contains("server")) {
      wall.samples.Add(on.by_load["server"].PerSecond() / off.by_load["server"].PerSecond());
    }
  }
  Figure thrown = {"pairs thrown away, another agent was at work", "", Target::kNone, 0, {}};
  thrown.samples.Add(disturbed);
  std::vector<Figure> figures;
  for (const std::string& load : node.loads()) {
    figures.push_back(std::move(cpu[load]));
  }
  if (cpu.contains("server")) {
    figures.push_back(std::move(wall));
  }
  figures.push_back(std::move(start));
  figures.push_back(std::move(first));
  figures.push_back(std::move(thrown));
  figures.push_back(std::move(scraped));
  return figures;
}

}  // namespace vedette::bench
