// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace vedette {

// One meaning each, for every command.
inline constexpr int kExitYes = 0;
inline constexpr int kExitNo = 1;      // Degraded, not found, an invalid configuration.
inline constexpr int kExitUsage = 2;   // The command line is wrong.
inline constexpr int kExitFailed = 3;  // Could not do it: no agent, no permission.

// What `vedette run` was asked for. `config_file` is empty when there is none to read.
struct RunOptions {
  std::string config_file;
  std::vector<std::string> sets;
  bool check_config = false;
  absl::Duration duration = absl::InfiniteDuration();
};

// In characters; 0: not known.
struct ScreenSize {
  size_t rows = 0;
  size_t columns = 0;
};

// Where a command writes. `wait` pauses between two looks and gives false to stop; `size` is asked
// of a terminal only.
struct CliIo {
  std::ostream& out;
  std::ostream& err;
  bool terminal = false;
  std::function<bool(absl::Duration)> wait;
  std::function<ScreenSize()> size = {};
};

using RunCommand = std::function<int(const RunOptions&)>;

// The command line of the agent and of its clients. Gives the exit code; `run` does `vedette run`.
// Owns nothing that outlives the call; one thread.
int RunCli(int argc, const char* const* argv, const RunCommand& run);
int RunCli(int argc, const char* const* argv, const RunCommand& run, const CliIo& io);

}  // namespace vedette
