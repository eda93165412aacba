// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace vedette::bench {
namespace {

std::string Number(double value) { return fmt::format("{:.{}f}", value, value < 10 ? 3 : 1); }

std::string Wanted(const Figure& figure) {
  switch (figure.target) {
    case Target::kAtLeast:
      return ">= " + fmt::format("{:g}", figure.wanted);
    case Target::kAtMost:
      return "<= " + fmt::format("{:g}", figure.wanted);
    case Target::kNone:
      break;
  }
  return "";
}

}  // namespace

double Samples::Median() const {
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Samples::Min() const { return *std::min_element(values_.begin(), values_.end()); }
double Samples::Max() const { return *std::max_element(values_.begin(), values_.end()); }

bool Figure::Reached() const {
  switch (target) {
    case Target::kAtLeast:
      return samples.Median() >= wanted;
    case Target::kAtMost:
      return samples.Median() <= wanted;
    case Target::kNone:
      break;
  }
  return true;
}

std::string ToTable(const Report& report) {
  std::string text =
      fmt::format("kernel {}, {} processors, load before {}, after {}\n", report.kernel,
                  report.processors, report.load_before, report.load_after);
  if (report.other_agents > 0) {
    text +=
        fmt::format("{} other agents run here: the comparison is blurred\n", report.other_agents);
  }
  text += fmt::format("{:<52} {:<7} {:>9} {:>9} {:>9} {:>9} {:>4}\n", "figure", "unit", "target",
                      "median", "min", "max", "n");
  for (const Figure& figure : report.figures) {
    if (figure.samples.empty()) {
      continue;
    }
    text += fmt::format("{:<52} {:<7} {:>9} {:>9} {:>9} {:>9} {:>4}{}\n", figure.name, figure.unit,
                        Wanted(figure), Number(figure.samples.Median()),
                        Number(figure.samples.Min()), Number(figure.samples.Max()),
                        figure.samples.size(), figure.Reached() ? "" : "  missed");
  }
  return text;
}

nlohmann::json ToJson(const Report& report) {
  nlohmann::json figures = nlohmann::json::array();
  for (const Figure& figure : report.figures) {
    if (figure.samples.empty()) {
      continue;
    }
    nlohmann::json row = {{"name", figure.name},
                          {"unit", figure.unit},
                          {"median", figure.samples.Median()},
                          {"min", figure.samples.Min()},
                          {"max", figure.samples.Max()},
                          {"samples", figure.samples.size()}};
    if (figure.target != Target::kNone) {
      row["target"] = figure.wanted;
      row["at_least"] = figure.target == Target::kAtLeast;
      row["reached"] = figure.Reached();
    }
    figures.push_back(std::move(row));
  }
  return {{"kernel", report.kernel},
          {"processors", report.processors},
          {"load_before", report.load_before},
          {"load_after", report.load_after},
          {"other_agents", report.other_agents},
          {"figures", std::move(figures)}};
}

}  // namespace vedette::bench
