// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/hash_worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "agent/base/sha256.h"
#include "agent/enrich/message_socket.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kChunkBytes = 1 << 16;
constexpr absl::Duration kSpawnPatience = absl::Seconds(2);

std::string_view BytesOf(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

UniqueFd Find(const HashOrder& order, const std::string& path) {
  if (order.place == CodePlace::kProcessImage) {
    return FindImage(order.tgid);
  }
  const MountTable mounts = MountTable::Read(order.tgid);
  switch (order.place) {
    case CodePlace::kProcessRoot:
      return FindBelow(fmt::format("/proc/{}/root", order.tgid), path, mounts);
    case CodePlace::kNeighbourRoot:
      return FindBelow(fmt::format("/proc/{}/root", order.neighbour_tgid), path,
                       MountTable::Read(order.neighbour_tgid));
    default:
      return FindBelow("/", path, mounts);
  }
}

HashAnswer Hash(const HashOrder& order, int handle) {
  HashAnswer answer;
  answer.outcome = HashOutcome::kUnreadable;
  if (!order.in_memory && !MayRead(handle, order.device, MountTable::Read(order.tgid))) {
    answer.outcome = HashOutcome::kUntrusted;
    return answer;
  }
  const UniqueFd file(open(fmt::format("/proc/self/fd/{}", handle).c_str(),
                           O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info = {};
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return answer;
  }
  if (static_cast<uint64_t>(info.st_size) > order.max_bytes) {
    answer.outcome = HashOutcome::kTooLarge;
    return answer;
  }
  Sha256 hash;
  std::vector<char> chunk(kChunkBytes);
  uint64_t total = 0;
  for (;;) {
    const ssize_t got = pread(file.get(), chunk.data(), chunk.size(), static_cast<off_t>(total));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return answer;
    }
    if (got == 0) {
      break;
    }
    total += static_cast<uint64_t>(got);
    if (total > order.max_bytes) {  // It grew while we read.
      answer.outcome = HashOutcome::kChanged;
      return answer;
    }
    hash.Update({chunk.data(), static_cast<size_t>(got)});
  }
  const std::string hex = hash.Hex();
  memcpy(answer.sha256, hex.data(), std::min(hex.size(), sizeof(answer.sha256)));
  answer.outcome = HashOutcome::kHashed;
  return answer;
}

[[noreturn]] void Work(int socket) {
  prctl(PR_SET_NAME, "vedette-hash");
  UniqueFd handle;
  SocketMessage message;
  while (ReceiveMessage(socket, message) && message.bytes.size() >= sizeof(HashOrder)) {
    HashOrder order;
    memcpy(&order, message.bytes.data(), sizeof(order));
    HashAnswer answer;
    if (order.kind == HashOrder::Kind::kHash) {
      answer = Hash(order, handle.get());
      SendMessage(socket, BytesOf(answer));
      continue;
    }
    handle = Find(order, message.bytes.substr(sizeof(order)));
    answer.outcome = handle.valid() ? HashOutcome::kHashed : HashOutcome::kGone;
    SendMessage(socket, BytesOf(answer), handle.get());
  }
  _exit(0);
}

[[noreturn]] void SpawnOnRequest(int socket) {
  SocketMessage message;
  while (ReceiveMessage(socket, message)) {
    const UniqueFd end = std::move(message.handle);
    const pid_t pid = end.valid() ? fork() : -1;
    if (pid == 0) {
      close(socket);
      Work(end.get());
    }
    SendMessage(socket, BytesOf(pid));
  }
  _exit(0);
}

// Signals to the whole group are for the agent: this one ends when the agent's end is closed.
[[noreturn]] void BecomeSpawner(UniqueFd socket) {
  prctl(PR_SET_NAME, "vedette-spawn");
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD}) {
    signal(ignored, SIG_IGN);
  }
  const int kept = fcntl(socket.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    dup2(null, standard);
  }
  // Whatever else the agent had open stays its own.
  if (kept > STDERR_FILENO + 1) {
    syscall(SYS_close_range, STDERR_FILENO + 1, kept - 1, 0);
  }
  syscall(SYS_close_range, kept + 1, ~0u, 0);
  if (chdir("/") != 0) {
    _exit(1);
  }
  SpawnOnRequest(kept);
}

}  // namespace

bool AwaitReadable(int socket, int stop, Deadline deadline) {
  for (;;) {
    pollfd watched[] = {{socket, POLLIN, 0}, {stop, POLLIN, 0}};
    const int ready =
        poll(watched, stop >= 0 ? 2 : 1,
             static_cast<int>(std::clamp<int64_t>(
                 absl::ToInt64Milliseconds(absl::Ceil(deadline.Left(), absl::Milliseconds(1))), 0,
                 60'000)));
    if (watched[0].revents != 0) {
      return true;
    }
    if ((ready > 0 && watched[1].revents != 0) || (ready == 0 && deadline.IsPassed())) {
      return false;
    }
  }
}

absl::StatusOr<std::unique_ptr<HashSpawner>> HashSpawner::Fork() {
  auto [ours, theirs] = MakeSocketPair();
  if (!ours.valid()) {
    return absl::ErrnoToStatus(errno, "a socket for the process that hashes programs");
  }
  const pid_t pid = fork();
  if (pid < 0) {
    return absl::ErrnoToStatus(errno, "starting the process that hashes programs");
  }
  if (pid == 0) {
    ours.Reset();
    BecomeSpawner(std::move(theirs));
  }
  return std::unique_ptr<HashSpawner>(new HashSpawner(std::move(ours), pid));
}

HashSpawner::~HashSpawner() {
  socket_.Reset();
  kill(pid_, SIGKILL);  // It would end by itself, unless somebody stopped it.
  int status;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

absl::StatusOr<HashWorker> HashSpawner::Spawn() {
  auto [ours, theirs] = MakeSocketPair();
  SocketMessage message;
  pid_t pid = -1;
  if (!theirs.valid() || !SendMessage(socket_.get(), "w", theirs.get())) {
    return absl::UnavailableError("no process can be asked to hash programs");
  }
  theirs.Reset();
  if (!AwaitReadable(socket_.get(), -1, Deadline::In(kSpawnPatience)) ||
      !ReceiveMessage(socket_.get(), message) || message.bytes.size() != sizeof(pid)) {
    return absl::UnavailableError("the process that starts hash workers does not answer");
  }
  memcpy(&pid, message.bytes.data(), sizeof(pid));
  if (pid <= 0) {
    return absl::UnavailableError("no process to hash programs could be started");
  }
  HashWorker worker;
  worker.socket = std::move(ours);
  worker.pidfd = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  worker.pid = pid;
  return worker;
}

}  // namespace vedette
