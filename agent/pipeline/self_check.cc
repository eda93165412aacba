// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/self_check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"
#include "agent/base/unique_fd.h"
#include "agent/probes/process_look.h"

namespace vedette {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr absl::Duration kLookInterval = absl::Milliseconds(1);

bool Wait(const std::function<bool()>& condition) {
  const Deadline deadline = Deadline::In(kPatience);
  while (!condition()) {
    if (deadline.IsPassed()) {
      return false;
    }
    absl::SleepFor(kLookInterval);
  }
  return true;
}

[[noreturn]] void BeChild(int go, int input) {
  char byte;
  while (read(go, &byte, 1) > 0) {
  }
  dup2(input, STDIN_FILENO);
  execl("/proc/self/exe", "vedette", kSelfCheckArgument, static_cast<char*>(nullptr));
  _exit(127);
}

}  // namespace

int RunSelfCheckChild() {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

absl::Status RunSelfCheck(const ProbeSet& probes) {
  int go[2], input[2];
  if (pipe2(go, O_CLOEXEC) != 0) {
    return absl::InternalError("self-check: no pipe");
  }
  UniqueFd go_read(go[0]), go_write(go[1]);
  if (pipe2(input, O_CLOEXEC) != 0) {
    return absl::InternalError("self-check: no pipe");
  }
  UniqueFd input_read(input[0]), input_write(input[1]);
  const pid_t child = fork();
  if (child < 0) {
    return absl::InternalError("self-check: no child");
  }
  if (child == 0) {
    close(go[1]);
    close(input[1]);
    BeChild(go[0], input[0]);
  }
  std::optional<ProcessLook> forked;
  std::string missed;
  if (!Wait([&] { return (forked = LookAtProcess(probes, child)).has_value(); })) {
    missed = "fork";
  }
  go_write.Reset();
  auto has_executed = [&] {
    std::optional<ProcessLook> now = LookAtProcess(probes, child);
    return now && now->start_ns != forked->start_ns;
  };
  if (missed.empty() && !Wait(has_executed)) {
    missed = "exec";
  }
  // It has been seen to execute; that it also links and runs would take longer than all the rest.
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  if (missed.empty() && !Wait([&] { return !LookAtProcess(probes, child); })) {
    missed = "exit";
  }
  if (missed.empty()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      "self-check: the " + missed +
      " of a known child was not seen; what processes do on this node is not "
      "watched as it should be");
}

}  // namespace vedette
