// SPDX-License-Identifier: Apache-2.0
#include "tests/support/agent/agent_process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <sstream>

#include "agent/base/status.h"
#include "tests/support/events/record_errors.h"

namespace vedette::testing {

using Json = nlohmann::json;

AgentProcess::AgentProcess() {
  static std::atomic<int> count{0};
  pin_dir_ = fmt::format("/sys/fs/bpf/vedette-test-{}-{}", getpid(), ++count);
}

AgentProcess::~AgentProcess() {
  Kill();
  std::error_code error;
  if (std::filesystem::is_regular_file(jsonl_path(), error)) {
    ExpectValidJsonLines();
  }
  std::filesystem::remove_all(pin_dir_, error);
  if (::testing::Test::HasFailure()) {
    fmt::print(stderr, "the agent's log:\n{}\n", Log());
  }
}

std::string AgentProcess::ConfigText() const {
  const std::string sinks =
      sinks_.empty() ? fmt::format("sinks:\n  - jsonl: {{ path: {} }}\n", jsonl_path()) : sinks_;
  const std::string_view bound = extra_config_.find("findings:") == std::string::npos
                                     ? "findings: { per_hour: 1000000 }\n"
                                     : "";
  return fmt::format(
      "store: {{ dir: {} }}\napi: {{ socket: {} }}\nbpf: {{ pin_dir: {} }}\n{}{}\n{}", store_dir(),
      socket(), pin_dir_, sinks, extra_config_, bound);
}

absl::Status AgentProcess::Launch() {
  if (!WriteFile(config_path(), ConfigText())) {
    return absl::ErrnoToStatus(errno, config_path());
  }
  // The log goes to a file: a pipe that nobody reads would stop the agent.
  child_.reset();
  ChildOptions options;
  options.argv = {"/bin/sh", "-c",           R"(exec "$1" run --config "$2" 2>>"$3")",
                  "agent",   VEDETTE_BINARY, config_path(),
                  log_path()};
  options.cgroup_fd = cgroup_fd_;
  VEDETTE_ASSIGN_OR_RETURN(Child child, Child::Spawn(options));
  child_.emplace(std::move(child));
  return absl::OkStatus();
}

absl::Status AgentProcess::WaitUntilReady(absl::Duration bound) {
  const ApiClient client(socket());
  const bool ready =
      WaitFor([&] { return !child_->Running() || client.Get("/v1/doctor").ok(); }, bound);
  if (ready && child_->Running()) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      fmt::format("the agent {}: {}", ready ? "ended" : "does not answer", Log()));
}

absl::Status AgentProcess::Start(absl::Duration bound) {
  VEDETTE_RETURN_IF_ERROR(Launch());
  return WaitUntilReady(bound);
}

absl::StatusOr<ChildResult> AgentProcess::RunToEnd(absl::Duration bound) {
  if (!WriteFile(config_path(), ConfigText())) {
    return absl::ErrnoToStatus(errno, config_path());
  }
  return Child::Run({VEDETTE_BINARY, "run", "--config", config_path()}, bound);
}

void AgentProcess::Kill() {
  if (child_) {
    child_->Kill(SIGKILL);
    child_->Wait(kAgentBound).IgnoreError();
    child_.reset();
  }
}

void AgentProcess::Signal(int signal) { child_->Kill(signal); }

absl::StatusOr<int> AgentProcess::Stop() {
  child_->Kill(SIGTERM);
  VEDETTE_ASSIGN_OR_RETURN(ChildResult result, child_->Wait(kAgentBound));
  child_.reset();
  return result.exit_code;
}

bool AgentProcess::Running() { return child_ && child_->Running(); }

Json AgentProcess::Get(const std::string& path, const ApiClient::Query& query) const {
  absl::StatusOr<Json> answer = ApiClient(socket()).Get(path, query);
  EXPECT_TRUE(answer.ok()) << path << ": " << answer.status();
  return answer.value_or(Json::object());
}

void AgentProcess::Freeze(const std::string& workload) const {
  absl::StatusOr<Json> answer =
      ApiClient(socket()).Post("/v1/profile/freeze", {{"workloads", Json::array({workload})}});
  ASSERT_TRUE(answer.ok()) << answer.status();
}

void AgentProcess::FreezeOnce(const std::string& workload, std::string_view object,
                              size_t count) const {
  ASSERT_TRUE(WaitFor([&] {
    return Entries(Profile(workload), "behaviours", "exec", object).size() >= count;
  })) << workload;
  Freeze(workload);
}

Json AgentProcess::Profile(const std::string& workload) const {
  return ApiClient(socket()).Get("/v1/profile", {{"workload", workload}}).value_or(Json::object());
}

std::vector<Json> AgentProcess::Entries(const Json& profile, std::string_view list,
                                        std::string_view channel, std::string_view object) {
  std::vector<Json> found;
  for (const Json& entry : profile.value(std::string(list), Json::array())) {
    if (entry["channel"] == channel &&
        entry["object"].get<std::string>().find(object) != std::string::npos) {
      found.push_back(entry);
    }
  }
  return found;
}

std::vector<Json> AgentProcess::Findings(const std::string& workload) const {
  std::vector<Json> found;
  for (const Json& row :
       Get("/v1/findings", {{"limit", "10000"}}).value("findings", Json::array())) {
    if (row["workload"] == workload) {
      found.push_back(row);
    }
  }
  return found;
}

double AgentProcess::RecordsPerSecond(const std::string& workload, absl::Duration window) const {
  const auto look = [&] {
    const Json top = Get("/v1/top");
    for (const Json& row : top.value("workloads", Json::array())) {
      if (row["name"] == workload) {
        return std::pair(top["uptime_seconds"].get<double>(), row["records"].get<double>());
      }
    }
    return std::pair(top.value("uptime_seconds", 0.0), 0.0);
  };
  const auto before = look();
  auto after = before;
  EXPECT_TRUE(WaitFor(
      [&] {
        after = look();
        return after.first - before.first >= absl::ToDoubleSeconds(window);
      },
      2 * window));
  return (after.second - before.second) / (after.first - before.first);
}

std::optional<Json> AgentProcess::Top(const std::string& workload) const {
  for (const Json& row : Get("/v1/top").value("workloads", Json::array())) {
    if (row["name"] == workload) {
      return row;
    }
  }
  return std::nullopt;
}

ChildResult AgentProcess::Cli(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), VEDETTE_BINARY);
  arguments.insert(arguments.end(), {"--socket", socket()});
  absl::StatusOr<ChildResult> result = Child::Run(std::move(arguments), kAgentBound);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.value_or(ChildResult());
}

void AgentProcess::ExpectValidJsonLines() const {
  std::vector<std::string> lines = JsonLines();
  if (!child_ && !lines.empty() && !ReadFile(jsonl_path()).ends_with('\n')) {
    lines.pop_back();  // It was killed while it wrote.
  }
  for (const std::string& line : lines) {
    EXPECT_THAT(RecordErrors(line), ::testing::IsEmpty()) << line;
  }
}

std::vector<Json> AgentProcess::FindingLines(const std::string& mentioning) const {
  std::vector<Json> findings;
  for (const std::string& line : JsonLines()) {
    Json parsed = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (parsed.contains("finding_info") && line.find(mentioning) != std::string::npos) {
      findings.push_back(std::move(parsed));
    }
  }
  return findings;
}

std::vector<std::string> AgentProcess::JsonLines() const {
  std::vector<std::string> lines;
  std::istringstream file(ReadFile(jsonl_path()));
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> AgentProcess::Pins() const {
  std::vector<std::string> pins;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(pin_dir_, error)) {
    pins.push_back(entry.path());
  }
  return pins;
}

}  // namespace vedette::testing
