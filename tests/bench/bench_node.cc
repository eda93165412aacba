// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_node.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <sstream>

#include "agent/base/status.h"

namespace vedette::bench {
namespace {

constexpr absl::Duration kLoadBound = absl::Seconds(60);
constexpr int kLearningRounds = 40;
constexpr int kQuietRounds = 2;

std::atomic<bool> ended{false};

}  // namespace

void EndOnSignals() {
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    signal(number, [](int) { ended = true; });
  }
}

absl::Status CheckNotEnded() {
  return ended ? absl::CancelledError("ended by a signal") : absl::OkStatus();
}

absl::Status Pause(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  while (absl::Now() < end) {
    VEDETTE_RETURN_IF_ERROR(CheckNotEnded());
    poll(nullptr, 0, 10);
  }
  return absl::OkStatus();
}

BenchNode::BenchNode(testing::ScopedCgroup cgroup, std::unique_ptr<testing::TempDir> directory)
    : cgroup_(std::move(cgroup)), directory_(std::move(directory)) {}

absl::StatusOr<BenchNode> BenchNode::Create(const std::string& agent_program,
                                            const std::vector<std::string>& loads) {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error);
  VEDETTE_ASSIGN_OR_RETURN(testing::ScopedCgroup cgroup, testing::ScopedCgroup::Create());
  BenchNode node(std::move(cgroup), std::make_unique<testing::TempDir>("vedette-bench"));
  node.loads_ = loads;
  if (loads.empty()) {
    node.loads_.assign(std::begin(kLoads), std::end(kLoads));
  }
  node.load_program_ = here.parent_path() / "bench_load";
  node.tiny_program_ = here.parent_path() / "bench_tiny";
  node.place_.program =
      agent_program.empty() ? (here.parent_path() / "vedette").string() : agent_program;
  node.place_.dir = node.directory_->path();
  node.place_.pin_dir = fmt::format("/sys/fs/bpf/vedette-bench-{}", getpid());
  VEDETTE_ASSIGN_OR_RETURN(const int port, FreePort());
  node.port_ = std::to_string(port);
  return node;
}

absl::StatusOr<Slice> BenchNode::Run(const std::string& load, absl::Duration duration) const {
  std::vector<std::string> arguments = {load, std::to_string(absl::ToInt64Milliseconds(duration))};
  if (load == "tcp" || load == "server") {
    arguments.push_back(port_);
  } else if (load == kCreateLoad) {
    arguments.push_back(directory_->path());
  }
  return RunIn(cgroup_, arguments);
}

absl::StatusOr<Slice> BenchNode::RunIn(const testing::ScopedCgroup& cgroup,
                                       const std::vector<std::string>& arguments) const {
  VEDETTE_RETURN_IF_ERROR(CheckNotEnded());
  std::vector<std::string> argv = {load_program_};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  VEDETTE_ASSIGN_OR_RETURN(const testing::ChildResult result, cgroup.Run(argv, kLoadBound));
  std::istringstream words(result.out);
  Slice slice;
  int64_t cpu_ns = 0, wall_ns = 0;
  if (result.exit_code != 0 || !(words >> slice.operations >> cpu_ns >> wall_ns)) {
    return absl::InternalError(
        fmt::format("the load {} failed: {}", fmt::join(arguments, " "), result.err));
  }
  slice.cpu = absl::Nanoseconds(cpu_ns);
  slice.wall = absl::Nanoseconds(wall_ns);
  return slice;
}

absl::StatusOr<AgentProcess> BenchNode::StartLearnedAgent(absl::Duration slice) const {
  VEDETTE_ASSIGN_OR_RETURN(AgentProcess agent, StartAgent());
  VEDETTE_RETURN_IF_ERROR(Learn(agent, slice));
  return agent;
}

// Other processes of the machine make records too; then the rounds run out, which says nothing
// about the loads, and their records are few.
absl::Status BenchNode::Learn(AgentProcess& agent, absl::Duration slice) const {
  int quiet = 0;
  for (int round = 0; round < kLearningRounds && quiet < kQuietRounds; ++round) {
    VEDETTE_ASSIGN_OR_RETURN(const uint64_t before, agent.RecordsSent());
    for (const std::string& load : loads_) {
      VEDETTE_RETURN_IF_ERROR(Run(load, slice).status());
    }
    agent.DrainLog();
    VEDETTE_ASSIGN_OR_RETURN(const uint64_t after, agent.RecordsSent());
    quiet = after == before ? quiet + 1 : 0;
    if (quiet == 1) {
      VEDETTE_RETURN_IF_ERROR(agent.client().Post("/v1/profile/freeze", {{"all", true}}).status());
    }
  }
  return absl::OkStatus();
}

absl::Status BenchNode::RemoveStore() const {
  std::error_code error;
  std::filesystem::remove_all(place_.dir + "/store", error);
  return error ? absl::InternalError(error.message()) : absl::OkStatus();
}

}  // namespace vedette::bench
