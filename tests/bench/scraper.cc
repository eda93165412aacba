// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/scraper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/time/time.h"
#include "agent/base/unique_fd.h"

namespace vedette::bench {
namespace {

constexpr absl::Duration kPeriod = absl::Seconds(1);
constexpr timeval kPatience = {5, 0};
constexpr std::string_view kRequest =
    "GET /metrics HTTP/1.1\r\nHost: vedette\r\nConnection: close\r\n\r\n";

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

absl::Status ScrapeOnce(int port) {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = Loopback(port);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 ||
      send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(kRequest.size())) {
    return absl::ErrnoToStatus(errno, "a scrape of the agent's metrics");
  }
  std::string answer;
  char part[16384];
  for (ssize_t got; (got = recv(fd.get(), part, sizeof(part), 0)) != 0;) {
    if (got < 0) {
      return absl::ErrnoToStatus(errno, "the answer to a scrape of the agent's metrics");
    }
    answer.append(part, static_cast<size_t>(got));
  }
  if (answer.find(" 200 ") != std::string_view("HTTP/1.1").size() ||
      answer.find("\nvedette_workload_execs_total{") == std::string::npos) {
    return absl::InternalError("a scrape has no metrics of workloads: " + answer.substr(0, 200));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return absl::ErrnoToStatus(errno, "no free port");
  }
  return ntohs(address.sin_port);
}

Scraper::Scraper(int port) : port_(port), thread_([this] { Run(); }) {}

Scraper::~Scraper() { Stop().IgnoreError(); }

absl::StatusOr<int> Scraper::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) {
    thread_.join();
  }
  MutexLock lock(&mutex_);
  if (!failure_.ok()) {
    return failure_;
  }
  return answered_;
}

void Scraper::Run() {
  for (;;) {
    const absl::Status status = ScrapeOnce(port_);
    MutexLock lock(&mutex_);
    answered_ += status.ok() ? 1 : 0;
    failure_.Update(status);
    if (mutex_.AwaitWithTimeout([this] { return stopping_; }, kPeriod)) {
      return;
    }
  }
}

}  // namespace vedette::bench
