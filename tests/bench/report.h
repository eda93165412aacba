// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vedette::bench {

// Values of one figure; the median is what counts.
class Samples {
 public:
  void Add(double value) { values_.push_back(value); }
  bool empty() const { return values_.empty(); }
  size_t size() const { return values_.size(); }
  double Median() const;
  double Min() const;
  double Max() const;

 private:
  std::vector<double> values_;
};

enum class Target { kNone, kAtLeast, kAtMost };

// One line of the table. A figure without a target explains another.
struct Figure {
  std::string name;
  std::string unit;
  Target target = Target::kNone;
  double wanted = 0;
  Samples samples;

  bool Reached() const;
};

struct Report {
  std::string kernel;
  int processors = 0;
  std::string load_before, load_after;  // As /proc/loadavg has it.
  int other_agents = 0;                 // Whose programs run beside ours and blur the comparison.
  std::vector<Figure> figures;
};

std::string ToTable(const Report& report);
nlohmann::json ToJson(const Report& report);

}  // namespace vedette::bench
