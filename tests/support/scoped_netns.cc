// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scoped_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

#include "agent/base/status.h"

namespace vedette::testing {
namespace {

bool BringLoopbackUp() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  if (!fd.valid() || ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) {
    return false;
  }
  request.ifr_flags |= IFF_UP;
  return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

absl::Status Succeeded(const absl::StatusOr<ChildResult>& result, std::string_view what) {
  VEDETTE_RETURN_IF_ERROR(result.status());
  if (result->exit_code != 0) {
    return absl::InternalError(fmt::format("{}: {}", what, result->err));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ScopedNetns> ScopedNetns::Create() {
  ScopedNetns netns;
  int error = 0;
  // Only this thread leaves the caller's namespace, and it ends at once.
  std::thread([&netns, &error] {
    if (unshare(CLONE_NEWNET) != 0 || !BringLoopbackUp()) {
      error = errno;
      return;
    }
    netns.fd_.Reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    error = netns.fd_.valid() ? 0 : errno;
  }).join();
  if (error != 0) {
    return absl::ErrnoToStatus(error, "cannot make a network namespace");
  }
  return netns;
}

absl::Status ScopedNetns::ConnectToHost() {
  static std::atomic<unsigned> count{0};
  // Concurrent tests are other processes: the process id keeps their names and networks apart.
  const unsigned number = (static_cast<unsigned>(getpid()) * 16 + count++ % 16) % (1U << 14);
  const std::string outside = fmt::format("vdt{}o", number);
  const std::string inside = fmt::format("vdt{}i", number);
  const std::string network = fmt::format("198.{}.{}.", 18 + (number >> 13), (number >> 5) & 255);
  const unsigned host = (number & 31) * 8;
  outside_address_ = fmt::format("{}{}", network, host + 1);
  inside_address_ = fmt::format("{}{}", network, host + 2);
  // `ip` takes a path for a namespace when it holds a slash.
  const std::string path = fmt::format("/proc/{}/fd/{}", getpid(), fd_.get());
  const std::vector<std::vector<std::string>> steps = {
      {"ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", path},
      {"ip", "addr", "add", outside_address_ + "/29", "dev", outside},
      {"ip", "link", "set", outside, "up"}};
  for (const auto& step : steps) {
    VEDETTE_RETURN_IF_ERROR(Succeeded(Child::Run(step), "ip link " + outside));
  }
  VEDETTE_RETURN_IF_ERROR(
      Succeeded(Run({"ip", "addr", "add", inside_address_ + "/29", "dev", inside}), inside));
  return Succeeded(Run({"ip", "link", "set", inside, "up"}), inside);
}

uint64_t ScopedNetns::id() const {
  struct stat status = {};
  fstat(fd_.get(), &status);
  return status.st_ino;
}

absl::StatusOr<Child> ScopedNetns::Spawn(std::vector<std::string> argv) const {
  ChildOptions options;
  options.argv = std::move(argv);
  options.netns_fd = fd_.get();
  return Child::Spawn(options);
}

absl::StatusOr<ChildResult> ScopedNetns::Run(std::vector<std::string> argv) const {
  VEDETTE_ASSIGN_OR_RETURN(Child child, Spawn(std::move(argv)));
  child.CloseInput();
  return child.Wait();
}

}  // namespace vedette::testing
