// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "agent/base/status.h"
#include "tests/bench/measure.h"
#include "tests/bench/pins.h"

namespace vedette::bench {
namespace {

constexpr absl::Duration kLearningSlice = absl::Milliseconds(20);
constexpr absl::Duration kRound = absl::Milliseconds(200);
constexpr int kCopies = 50;          // Executed for the first time in one round.
constexpr double kLeastRuns = 0.05;  // Of a program per act, to be listed by itself.
constexpr double kNsPerUs = 1000;

// One kind of act: the sum over all programs, and each program that takes part.
class ActCost {
 public:
  ActCost(std::string name, double wanted_us) : name_(std::move(name)) {
    total_ = {fmt::format("in kernel: {}", name_), "us", Target::kAtMost, wanted_us, {}};
  }

  absl::Status Round(const ProgramStatistics& statistics,
                     const std::function<absl::StatusOr<Slice>()>& act) {
    VEDETTE_ASSIGN_OR_RETURN(const ProgramStatistics::Runs before, statistics.Read());
    VEDETTE_ASSIGN_OR_RETURN(const Slice slice, act());
    VEDETTE_ASSIGN_OR_RETURN(ProgramStatistics::Runs after, statistics.Read());
    const double operations = static_cast<double>(slice.operations);
    double total_ns = 0;
    for (auto& [program, runs] : after) {
      const double ns = static_cast<double>(runs.ns - before.at(program).ns);
      const double count = static_cast<double>(runs.count - before.at(program).count);
      total_ns += ns;
      if (count / operations >= kLeastRuns) {
        Figure& figure = parts_[program];
        figure.samples.Add(ns / count / kNsPerUs);
        runs_[program].Add(count / operations);
      }
    }
    total_.samples.Add(total_ns / operations / kNsPerUs);
    return absl::OkStatus();
  }

  void AppendTo(std::vector<Figure>& figures) {
    figures.push_back(std::move(total_));
    for (auto& [program, figure] : parts_) {
      figure.name = fmt::format("    {}, {:.1f} runs of", program, runs_[program].Median());
      figure.unit = "us";
      figures.push_back(std::move(figure));
    }
  }

 private:
  std::string name_;
  Figure total_;
  std::map<std::string, Figure> parts_;
  std::map<std::string, Samples> runs_;
};

absl::StatusOr<std::string> MakeCopies(const BenchNode& node, int round) {
  const std::string dir = fmt::format("{}/copies-{}", node.directory(), round);
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  for (int i = 0; i < kCopies && !error; ++i) {
    std::filesystem::copy_file(node.tiny_program(), fmt::format("{}/{}", dir, i), error);
  }
  return error ? absl::StatusOr<std::string>(absl::InternalError(dir + ": " + error.message()))
               : dir;
}

}  // namespace

absl::StatusOr<std::vector<Figure>> MeasurePrograms(const BenchNode& node, const Extent& extent) {
  VEDETTE_ASSIGN_OR_RETURN(AgentProcess agent, node.StartLearnedAgent(kLearningSlice));
  VEDETTE_ASSIGN_OR_RETURN(const ProgramStatistics statistics,
                           ProgramStatistics::Open(node.place().pin_dir));
  ActCost known("fork+exec+exit, known", 3), fresh("fork+exec+exit, new", 8);
  ActCost tcp("TCP connect+close, known, both ends", 3);
  for (int round = 0; round < extent.cost_rounds; ++round) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string copies, MakeCopies(node, round));
    VEDETTE_RETURN_IF_ERROR(known.Round(statistics, [&] { return node.Run("exec", kRound); }));
    VEDETTE_RETURN_IF_ERROR(tcp.Round(statistics, [&] { return node.Run("tcp", kRound); }));
    VEDETTE_RETURN_IF_ERROR(fresh.Round(
        statistics, [&] { return node.RunHere({"distinct", std::to_string(kCopies), copies}); }));
    agent.DrainLog();
  }
  std::vector<Figure> figures;
  known.AppendTo(figures);
  fresh.AppendTo(figures);
  tcp.AppendTo(figures);
  return figures;
}

}  // namespace vedette::bench
