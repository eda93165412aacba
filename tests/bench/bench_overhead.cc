// SPDX-License-Identifier: Apache-2.0
// What the agent costs the machine it watches: loads with and without it in turns, its programs by
// the kernel's statistics, its processor time, its start and its memory. docs/performance.md says
// how to read it. Exit: 0 measured, whatever the figures; 3 could not measure.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <thread>

#include "agent/base/status.h"
#include "tests/bench/measure.h"
#include "tests/bench/pins.h"

namespace vedette::bench {
namespace {

struct Options {
  std::string agent;
  std::vector<std::string> parts;
  std::vector<std::string> loads;
  bool is_short = false;
  bool files = false;
  bool json = false;
};

Extent ShortExtent() {
  Extent extent;
  extent.pairs = 4;
  extent.slice = absl::Milliseconds(120);
  extent.cost_rounds = 3;
  extent.steady = absl::Seconds(10);
  return extent;
}

std::string LoadNow() {
  const std::string line = testing::ReadFile("/proc/loadavg");
  return line.substr(0, line.find(' '));
}

absl::Status Measure(const Options& options, Report& report) {
  const Extent extent = options.is_short ? ShortExtent() : Extent();
  VEDETTE_ASSIGN_OR_RETURN(BenchNode node, BenchNode::Create(options.agent, options.loads));
  if (options.files) {
    node.WatchFiles();
  }
  utsname name = {};
  uname(&name);
  report.kernel = name.release;
  report.processors = static_cast<int>(std::thread::hardware_concurrency());
  report.load_before = LoadNow();
  report.other_agents = CountAgents();
  const std::pair<const char*, decltype(&MeasureOverhead)> parts[] = {
      {"overhead", MeasureOverhead}, {"programs", MeasurePrograms}, {"agent", MeasureAgent}};
  for (const auto& [part, measure] : parts) {
    const auto& wanted = options.parts;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), part) == wanted.end()) {
      continue;
    }
    VEDETTE_ASSIGN_OR_RETURN(std::vector<Figure> figures, measure(node, extent));
    report.figures.insert(report.figures.end(), figures.begin(), figures.end());
  }
  report.load_after = LoadNow();
  return absl::OkStatus();
}

int Main(const Options& options) {
  if (geteuid() != 0) {
    std::cerr << "bench_overhead: needs root to start the agent; run it with sudo\n";
    return 3;
  }
  EndOnSignals();
  Report report;
  const absl::Status status = Measure(options, report);
  if (!status.ok()) {
    std::cerr << "bench_overhead: " << Message(status) << '\n';
    return 3;
  }
  if (options.json) {
    std::cout << ToJson(report).dump(2) << '\n';
  } else {
    std::cout << ToTable(report);
  }
  return 0;
}

}  // namespace
}  // namespace vedette::bench

int main(int argc, char** argv) {
  CLI::App app("Measures what the agent costs; needs root");
  vedette::bench::Options options;
  app.add_flag("--short", options.is_short, "Fewer and shorter slices: at most 40 s");
  app.add_flag("--json", options.json, "JSON instead of a table");
  app.add_option("--agent", options.agent, "The agent; else vedette beside this program");
  app.add_option("--part", options.parts, "Only this part: overhead, programs or agent; repeatable")
      ->check(CLI::IsMember({"overhead", "programs", "agent"}));
  std::vector<std::string> loads(std::begin(vedette::bench::kLoads),
                                 std::end(vedette::bench::kLoads));
  loads.push_back(vedette::bench::kCreateLoad);
  app.add_option("--load", options.loads, "Only this load in the part overhead; repeatable")
      ->check(CLI::IsMember(loads));
  app.add_flag("--files", options.files, "With probes.files: on");
  CLI11_PARSE(app, argc, argv);
  return vedette::bench::Main(options);
}
