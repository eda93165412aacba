// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/cli/client.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_for.h"

namespace vedette::testing {

inline constexpr absl::Duration kAgentBound = absl::Seconds(30);

// The `vedette` binary of this build, run with a store, a socket, pins and a file of findings of
// its own. All of it outlives the process, so that a test can kill it and start it again; all of it
// goes with this object, also after a failed assertion. Needs root. One thread.
class AgentProcess {
 public:
  AgentProcess();
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  // Beside what the configuration says of the places above: YAML of other top-level keys. `sinks`
  // replaces the JSON lines sink. Without a key `findings` as many go out as there are.
  void SetConfig(std::string yaml) { extra_config_ = std::move(yaml); }
  void SetSinks(std::string yaml) { sinks_ = std::move(yaml); }

  // The process is born in this cgroup, which outlives it, so that it is a workload of its own.
  void SetCgroup(int fd) { cgroup_fd_ = fd; }

  // Starts the process and waits until it answers. What it says instead, if it does not.
  absl::Status Start(absl::Duration bound = kAgentBound);
  // Starts it and does not wait.
  absl::Status Launch();
  // Until `doctor` has an answer.
  absl::Status WaitUntilReady(absl::Duration bound = kAgentBound);
  // The process runs to its end by itself: what it wrote on stderr is in `err`.
  absl::StatusOr<ChildResult> RunToEnd(absl::Duration bound = kAgentBound);

  void Kill();                 // SIGKILL; returns when it is gone.
  void Signal(int signal);     // Without waiting.
  absl::StatusOr<int> Stop();  // SIGTERM; the exit code.
  bool Running();
  pid_t pid() const { return child_ ? child_->pid() : -1; }

  // The API. A failure is a failed expectation and an empty answer.
  nlohmann::json Get(const std::string& path, const ApiClient::Query& query = {}) const;
  nlohmann::json Doctor() const { return Get("/v1/doctor"); }
  // Waits until the workload has learned `count` executions of `object`, then freezes.
  void FreezeOnce(const std::string& workload, std::string_view object, size_t count) const;
  // Freezes what the workload learned so far.
  void Freeze(const std::string& workload) const;
  // Empty when the workload has none yet.
  nlohmann::json Profile(const std::string& workload) const;
  // The behaviours of a profile, learned ones first, that `matches` holds for.
  static std::vector<nlohmann::json> Entries(const nlohmann::json& profile, std::string_view list,
                                             std::string_view channel, std::string_view object);
  std::vector<nlohmann::json> Findings(const std::string& workload) const;
  // How many records a second the kernel told of the workload, over a time of at least `window`.
  double RecordsPerSecond(const std::string& workload, absl::Duration window) const;
  // The row of `top`, if the workload is there.
  std::optional<nlohmann::json> Top(const std::string& workload) const;
  // The command line client, with this agent's socket.
  ChildResult Cli(std::vector<std::string> arguments) const;

  // Each line that the agent wrote into its file of findings.
  std::vector<std::string> JsonLines() const;
  // Those that are findings and hold `mentioning`: other tests of this machine are watched as well.
  std::vector<nlohmann::json> FindingLines(const std::string& mentioning) const;
  // By the schema of each. So is what every agent of a test wrote, at its end.
  void ExpectValidJsonLines() const;
  std::string Log() const { return ReadFile(log_path()); }
  std::vector<std::string> Pins() const;  // Paths that are still there.

  std::string dir() const { return dir_.path(); }
  std::string config_path() const { return dir_ / "vedette.yaml"; }
  std::string socket() const { return dir_ / "agent.sock"; }
  std::string store_dir() const { return dir_ / "store"; }
  std::string jsonl_path() const { return dir_ / "findings.jsonl"; }
  std::string log_path() const { return dir_ / "agent.log"; }
  const std::string& pin_dir() const { return pin_dir_; }
  std::string ConfigText() const;

 private:
  TempDir dir_{"vedette-agent"};
  std::string pin_dir_;
  std::string extra_config_;
  std::string sinks_;
  int cgroup_fd_ = -1;
  std::optional<Child> child_;
};

}  // namespace vedette::testing
