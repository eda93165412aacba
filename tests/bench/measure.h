// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/report.h"

namespace vedette::bench {

struct Extent {
  int pairs = 24;
  absl::Duration slice = absl::Milliseconds(250);
  int cost_rounds = 7;
  absl::Duration steady = absl::Seconds(21);  // Two rounds of the agent's periodic work.
};

// What the loads lose with the agent beside them, and how long the agent takes to start.
absl::StatusOr<std::vector<Figure>> MeasureOverhead(const BenchNode& node, const Extent& extent);

// What the agent's programs cost per act, by the kernel's statistics.
absl::StatusOr<std::vector<Figure>> MeasurePrograms(const BenchNode& node, const Extent& extent);

// Memory with a hundred workloads, and what the agent uses of a processor while known ones work.
absl::StatusOr<std::vector<Figure>> MeasureAgent(const BenchNode& node, const Extent& extent);

}  // namespace vedette::bench
