// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/agent_process.h"
#include "tests/support/scoped_cgroup.h"
#include "tests/support/temp_dir.h"

namespace vedette::bench {

// The loads of bench_load that are compared, in the order of the table.
inline constexpr const char* kLoads[] = {"getpid", "open", "exec", "tcp", "server"};
// Makes and removes files whose names differ each time; only where it is asked for.
inline constexpr const char* kCreateLoad = "create";

// What a load did in one slice.
struct Slice {
  int64_t operations = 0;
  absl::Duration cpu;
  absl::Duration wall;

  double PerCpuSecond() const { return operations / absl::ToDoubleSeconds(cpu); }
  double PerSecond() const { return operations / absl::ToDoubleSeconds(wall); }
};

// Everything the benchmark makes on this machine: a directory, a cgroup and a port for the loads,
// and where agents are started. Undone at the end. One thread.
class BenchNode {
 public:
  // loads: which of kLoads are run; empty: all.
  static absl::StatusOr<BenchNode> Create(const std::string& agent_program,
                                          const std::vector<std::string>& loads = {});

  // Runs a load in the cgroup of the loads, or in another.
  absl::StatusOr<Slice> Run(const std::string& load, absl::Duration duration) const;
  absl::StatusOr<Slice> RunIn(const testing::ScopedCgroup& cgroup,
                              const std::vector<std::string>& arguments) const;

  // With arguments of its own, in the cgroup of the loads.
  absl::StatusOr<Slice> RunHere(const std::vector<std::string>& arguments) const {
    return RunIn(cgroup_, arguments);
  }

  // Agents that are started from now on watch files.
  void WatchFiles() { place_.files = true; }

  absl::StatusOr<AgentProcess> StartAgent() const { return AgentProcess::Start(place_); }
  // Starts an agent that has learned the loads, and runs them until they make no more records:
  // after a start the kernel's cache is empty, and each behaviour is told once.
  absl::StatusOr<AgentProcess> StartLearnedAgent(absl::Duration slice) const;
  absl::Status Learn(AgentProcess& agent, absl::Duration slice) const;
  // Forgets what agents have learned.
  absl::Status RemoveStore() const;

  const std::vector<std::string>& loads() const { return loads_; }
  const AgentPlace& place() const { return place_; }
  std::string directory() const { return directory_->path(); }
  const std::string& port() const { return port_; }
  const std::string& load_program() const { return load_program_; }
  const std::string& tiny_program() const { return tiny_program_; }

 private:
  BenchNode(testing::ScopedCgroup cgroup, std::unique_ptr<testing::TempDir> directory);
  testing::ScopedCgroup cgroup_;
  std::unique_ptr<testing::TempDir> directory_;
  AgentPlace place_;
  std::string port_;
  std::vector<std::string> loads_;
  std::string load_program_;
  std::string tiny_program_;
};

// After SIGINT or SIGTERM every load fails with Cancelled, so that all is undone on the way out.
void EndOnSignals();
absl::Status CheckNotEnded();
// Waits without doing anything; Cancelled after a signal.
absl::Status Pause(absl::Duration duration);

}  // namespace vedette::bench
