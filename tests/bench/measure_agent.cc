// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <string>

#include "agent/base/status.h"
#include "tests/bench/measure.h"

namespace vedette::bench {
namespace {

constexpr int kWorkloads = 100;
constexpr absl::Duration kLearningSlice = absl::Milliseconds(20);
constexpr absl::Duration kSteadySlice = absl::Milliseconds(200);
constexpr double kCpuTarget = 1;
constexpr double kMemoryTarget = 32;

Figure One(const std::string& name, const std::string& unit, double value) {
  Figure figure = {name, unit, Target::kNone, 0, {}};
  figure.samples.Add(value);
  return figure;
}

// Runs the known loads one after the other and gives what the agent used of one processor, in
// hundredths.
absl::StatusOr<double> SteadyShare(const BenchNode& node, const AgentProcess& agent,
                                   absl::Duration duration) {
  const absl::Time start = absl::Now();
  VEDETTE_ASSIGN_OR_RETURN(const absl::Duration before, agent.CpuTime());
  while (absl::Now() < start + duration) {
    for (const char* load : {"exec", "tcp", "server"}) {
      VEDETTE_RETURN_IF_ERROR(node.Run(load, kSteadySlice).status());
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(const absl::Duration after, agent.CpuTime());
  return 100 * absl::FDivDuration(after - before, absl::Now() - start);
}

}  // namespace

absl::StatusOr<std::vector<Figure>> MeasureAgent(const BenchNode& node, const Extent& extent) {
  VEDETTE_RETURN_IF_ERROR(node.RemoveStore());
  VEDETTE_ASSIGN_OR_RETURN(AgentProcess agent, node.StartAgent());
  VEDETTE_ASSIGN_OR_RETURN(const Resident fresh, agent.ReadResident());
  std::vector<testing::ScopedCgroup> cgroups;
  for (int i = 0; i < kWorkloads; ++i) {
    VEDETTE_ASSIGN_OR_RETURN(testing::ScopedCgroup cgroup, testing::ScopedCgroup::Create());
    VEDETTE_RETURN_IF_ERROR(node.RunIn(cgroup, {"few", "0", node.port()}).status());
    cgroups.push_back(std::move(cgroup));
    agent.DrainLog();
  }
  VEDETTE_RETURN_IF_ERROR(node.Learn(agent, kLearningSlice));
  agent.BeginScrapes();
  Figure share = {"agent, of a core, known loads at work", "%", Target::kAtMost, kCpuTarget, {}};
  VEDETTE_ASSIGN_OR_RETURN(const double percent, SteadyShare(node, agent, extent.steady));
  share.samples.Add(percent);
  VEDETTE_ASSIGN_OR_RETURN(const Resident full, agent.ReadResident());
  VEDETTE_ASSIGN_OR_RETURN(const int scrapes, agent.EndScrapes());
  Figure memory = {"agent, resident with 100 workloads", "MB", Target::kAtMost, kMemoryTarget, {}};
  memory.samples.Add(full.total_mb);
  return std::vector<Figure>{share,
                             memory,
                             One("    of it anonymous", "MB", full.anonymous_mb),
                             One("    of it files (program, libraries, store)", "MB", full.file_mb),
                             One("    of it rings", "MB", full.rings_mb),
                             One("    right after the start", "MB", fresh.total_mb),
                             One("scrapes of its metrics meanwhile", "", scrapes)};
}

}  // namespace vedette::bench
