// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"

namespace vedette::bench {

// The directory in which the running agent pins its maps and links.
absl::StatusOr<std::string> BuildDir(const std::string& pin_dir);

// Agents whose programs are loaded now, whoever started them.
int CountAgents();

struct ProgramRuns {
  uint64_t ns = 0;
  uint64_t count = 0;

  bool operator==(const ProgramRuns&) const = default;
};

// How long each of the agent's programs has run, as the kernel counts while it lives: statistics
// are on for the whole machine. One thread.
class ProgramStatistics {
 public:
  using Runs = std::map<std::string, ProgramRuns>;

  static absl::StatusOr<ProgramStatistics> Open(const std::string& pin_dir);
  absl::StatusOr<Runs> Read() const;

 private:
  UniqueFd statistics_;
  std::map<std::string, UniqueFd> programs_;
};

}  // namespace vedette::bench
