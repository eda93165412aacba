// SPDX-License-Identifier: Apache-2.0
#include "tests/support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "agent/base/status.h"

extern char** environ;

namespace vedette::testing {
namespace {

constexpr int kPollMs = 20;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::Status ErrnoStatus(std::string_view what) {
  return absl::ErrnoToStatus(errno, fmt::format("{}", what));
}

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    return ErrnoStatus("pipe2");
  }
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// All that the new process needs, made before it is born: afterwards it may only do system calls.
struct Plan {
  int netns_fd;
  int in;
  int out;
  int err;
  int failure;
  std::vector<char*> argv;
  std::vector<char*> env;
};

[[noreturn]] void BecomeProgram(const Plan& plan) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const bool ready = (plan.netns_fd < 0 || setns(plan.netns_fd, CLONE_NEWNET) == 0) &&
                     dup2(plan.in, 0) >= 0 && dup2(plan.out, 1) >= 0 && dup2(plan.err, 2) >= 0;
  if (ready) {
    execvpe(plan.argv[0], plan.argv.data(), plan.env.data());
  }
  const int error = errno;
  [[maybe_unused]] ssize_t n = write(plan.failure, &error, sizeof(error));
  _exit(127);
}

// fork, but into a cgroup and with a pidfd. The memory is copied, so nothing is shared.
pid_t CloneInto(int cgroup_fd, int* pidfd) {
  clone_args args = {};
  args.flags = CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0);
  args.pidfd = reinterpret_cast<uint64_t>(pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup_fd >= 0 ? static_cast<uint64_t>(cgroup_fd) : 0;
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
}

// Takes what is there. False: the writers are gone.
bool Drain(int fd, std::string* bytes) {
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n > 0) {
      bytes->append(buffer, static_cast<size_t>(n));
    } else if (n == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN;
    }
  }
}

}  // namespace

absl::StatusOr<Child> Child::Spawn(const ChildOptions& options) {
  if (options.argv.empty()) {
    return absl::InvalidArgumentError("Child::Spawn: no argv");
  }
  VEDETTE_ASSIGN_OR_RETURN(Pipe in, MakePipe());
  VEDETTE_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  VEDETTE_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  VEDETTE_ASSIGN_OR_RETURN(Pipe failure, MakePipe());
  Plan plan{options.netns_fd,    in.read.get(),          out.write.get(),      err.write.get(),
            failure.write.get(), Pointers(options.argv), Pointers(options.env)};
  plan.env.pop_back();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    plan.env.push_back(*variable);
  }
  plan.env.push_back(nullptr);

  int pidfd = -1;
  const pid_t pid = CloneInto(options.cgroup_fd, &pidfd);
  if (pid < 0) {
    return ErrnoStatus(options.cgroup_fd >= 0 ? "clone3 into a cgroup" : "clone3");
  }
  if (pid == 0) {
    BecomeProgram(plan);
  }
  Child child;
  child.pid_ = pid;
  child.pidfd_.Reset(pidfd);
  child.in_ = std::move(in.write);
  child.out_ = std::move(out.read);
  child.err_ = std::move(err.read);
  fcntl(child.out_.get(), F_SETFL, O_NONBLOCK);
  fcntl(child.err_.get(), F_SETFL, O_NONBLOCK);
  failure.write.Reset();
  int error = 0;
  if (read(failure.read.get(), &error, sizeof(error)) == sizeof(error)) {
    errno = error;
    return ErrnoStatus(fmt::format("cannot start {}", options.argv[0]));
  }
  return child;
}

absl::StatusOr<Child> Child::Spawn(std::vector<std::string> argv) {
  ChildOptions options;
  options.argv = std::move(argv);
  return Spawn(options);
}

absl::StatusOr<ChildResult> Child::Run(std::vector<std::string> argv, absl::Duration bound) {
  VEDETTE_ASSIGN_OR_RETURN(Child child, Spawn(std::move(argv)));
  child.CloseInput();
  return child.Wait(bound);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      reaped_(other.reaped_),
      wait_status_(other.wait_status_),
      pidfd_(std::move(other.pidfd_)),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      out_bytes_(std::move(other.out_bytes_)),
      err_bytes_(std::move(other.err_bytes_)) {}

Child::~Child() {
  if (pid_ > 0 && !Reap()) {
    Kill();
    waitpid(pid_, nullptr, 0);
  }
}

bool Child::Reap() {
  if (!reaped_ && waitpid(pid_, &wait_status_, WNOHANG) == pid_) {
    reaped_ = true;
  }
  return reaped_;
}

bool Child::Running() { return !Reap(); }

bool Child::Write(std::string_view bytes) {
  // A broken pipe is an answer here, not the end of the test.
  sighandler_t before = signal(SIGPIPE, SIG_IGN);
  const ssize_t n = in_.valid() ? write(in_.get(), bytes.data(), bytes.size()) : -1;
  signal(SIGPIPE, before);
  return n == static_cast<ssize_t>(bytes.size());
}

void Child::Collect(int timeout_ms) {
  pollfd fds[3] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
  if (reaped_) {
    fds[2].fd = -1;
  }
  poll(fds, 3, timeout_ms);
  if (out_.valid() && !Drain(out_.get(), &out_bytes_)) {
    out_.Reset();
  }
  if (err_.valid() && !Drain(err_.get(), &err_bytes_)) {
    err_.Reset();
  }
}

absl::StatusOr<std::string> Child::ReadLine(absl::Duration bound) {
  const absl::Time end = absl::Now() + bound;
  for (;;) {
    const size_t newline = out_bytes_.find('\n');
    if (newline != std::string::npos) {
      std::string line = out_bytes_.substr(0, newline);
      out_bytes_.erase(0, newline + 1);
      return line;
    }
    if (!out_.valid()) {
      return absl::OutOfRangeError("stdout has ended; stderr: " + err_bytes_);
    }
    if (absl::Now() >= end) {
      return absl::DeadlineExceededError("no line on stdout; stderr: " + err_bytes_);
    }
    Collect(kPollMs);
  }
}

const std::string& Child::Err() {
  Collect(0);
  return err_bytes_;
}

void Child::Kill(int signal) {
  // Through the pidfd, so that a number given out again is never hit.
  if (!reaped_ && pidfd_.valid()) {
    syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
  }
}

absl::StatusOr<ChildResult> Child::Wait(absl::Duration bound) {
  const absl::Time end = absl::Now() + bound;
  while (!Reap()) {
    if (absl::Now() >= end) {
      return absl::DeadlineExceededError(
          fmt::format("process {} has not ended; stderr: {}", pid_, err_bytes_));
    }
    Collect(kPollMs);
  }
  Collect(0);
  ChildResult result;
  result.out = out_bytes_;
  result.err = err_bytes_;
  if (WIFEXITED(wait_status_)) {
    result.exit_code = WEXITSTATUS(wait_status_);
  } else {
    result.signal = WTERMSIG(wait_status_);
  }
  return result;
}

}  // namespace vedette::testing
