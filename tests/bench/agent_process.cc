// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/agent_process.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <sstream>
#include <utility>

#include "agent/base/status.h"
#include "agent/base/unique_fd.h"
#include "agent/probes/bpffs.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"
#include "tests/bench/pins.h"
#include "tests/support/temp_dir.h"

namespace vedette::bench {
namespace {

constexpr absl::Duration kStartBound = absl::Seconds(20);
constexpr absl::Duration kStopBound = absl::Seconds(10);
constexpr double kKibPerMb = 1000 / 1.024;

std::string SocketOf(const AgentPlace& place) { return place.dir + "/agent.sock"; }

bool Connects(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

std::string Configuration(const AgentPlace& place, int metrics_port) {
  return fmt::format(
      "store: {{ dir: {0}/store }}\n"
      "api: {{ socket: {0}/agent.sock }}\n"
      "sinks:\n"
      "  - jsonl: {{ path: {0}/findings.jsonl }}\n"
      "bpf: {{ pin_dir: {1} }}\n"
      "probes: {{ files: {2} }}\n"
      "metrics: {{ listen: \"127.0.0.1:{3}\" }}\n",
      place.dir, place.pin_dir, place.files ? "on" : "off", metrics_port);
}

}  // namespace

AgentProcess::AgentProcess(const AgentPlace& place, int metrics_port, testing::Child child)
    : place_(place),
      metrics_port_(metrics_port),
      child_(std::move(child)),
      client_(SocketOf(place)) {}

AgentProcess::AgentProcess(AgentProcess&& other) noexcept
    : place_(other.place_),
      metrics_port_(other.metrics_port_),
      scraper_(std::move(other.scraper_)),
      child_(std::move(other.child_)),
      client_(std::move(other.client_)),
      start_time_(other.start_time_) {
  other.child_.reset();
}

absl::StatusOr<AgentProcess> AgentProcess::Start(const AgentPlace& place) {
  const std::string config = place.dir + "/vedette.yaml";
  VEDETTE_ASSIGN_OR_RETURN(const int metrics_port, FreePort());
  if (!testing::WriteFile(config, Configuration(place, metrics_port))) {
    return absl::ErrnoToStatus(errno, config);
  }
  const absl::Time started = absl::Now();
  VEDETTE_ASSIGN_OR_RETURN(testing::Child child,
                           testing::Child::Spawn({place.program, "run", "--config", config}));
  AgentProcess agent(place, metrics_port, std::move(child));
  VEDETTE_RETURN_IF_ERROR(agent.WaitUntilReady(started));
  return agent;
}

absl::Status AgentProcess::WaitUntilReady(absl::Time started) {
  const std::string socket = SocketOf(place_);
  while (!Connects(socket)) {
    if (!child_->Running() || absl::Now() > started + kStartBound) {
      return absl::UnavailableError("the agent does not become ready: " + child_->Err());
    }
    poll(nullptr, 0, 1);
  }
  VEDETTE_RETURN_IF_ERROR(client_.Get("/v1/doctor").status());
  start_time_ = absl::Now() - started;
  return absl::OkStatus();
}

AgentProcess::~AgentProcess() {
  if (!child_) {
    return;
  }
  scraper_.reset();
  child_->Kill(SIGTERM);
  if (!child_->Wait(kStopBound).ok()) {
    fmt::print(stderr, "the agent did not stop within {}; it is killed\n",
               absl::FormatDuration(kStopBound));
  }
  child_.reset();
  RemoveBpffsDir(place_.pin_dir);
}

absl::StatusOr<absl::Duration> AgentProcess::CpuTime() const {
  clockid_t clock;
  timespec used = {};
  if (clock_getcpuclockid(child_->pid(), &clock) != 0 || clock_gettime(clock, &used) != 0) {
    return absl::UnavailableError("the agent has ended");
  }
  return absl::DurationFromTimespec(used);
}

// A ring's mappings are device pages, which RssFile and RssShmem leave out on some kernels; smaps
// has each of them.
absl::StatusOr<Resident> AgentProcess::ReadResident() const {
  std::istringstream lines(testing::ReadFile(fmt::format("/proc/{}/smaps", child_->pid())));
  Resident resident;
  bool is_ring = false, is_file = false;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word.empty()) {
      continue;
    }
    if (word.back() != ':') {
      is_ring = line.find("bpf-map") != std::string::npos ||
                line.find("bpf_ringbuf") != std::string::npos;
      is_file = line.find('/') != std::string::npos;
      continue;
    }
    double kib = 0;
    words >> kib;
    if (word != "Rss:") {
      continue;
    }
    const double mb = kib / kKibPerMb;
    resident.total_mb += mb;
    (is_ring ? resident.rings_mb : is_file ? resident.file_mb : resident.anonymous_mb) += mb;
  }
  if (resident.total_mb == 0) {
    return absl::UnavailableError("the agent has ended");
  }
  return resident;
}

absl::StatusOr<uint64_t> AgentProcess::RecordsSent() const {
  VEDETTE_ASSIGN_OR_RETURN(const std::string build, BuildDir(place_.pin_dir));
  const UniqueFd lanes(bpf_obj_get((build + "/maps/vd_lanes").c_str()));
  std::vector<wire_lane_count> values(static_cast<size_t>(libbpf_num_possible_cpus()));
  uint64_t sent = 0;
  for (uint32_t lane = 0; lane < WIRE_LANES; ++lane) {
    if (bpf_map_lookup_elem(lanes.get(), &lane, values.data()) != 0) {
      return absl::ErrnoToStatus(errno, "the agent's map vd_lanes");
    }
    for (const wire_lane_count& value : values) {
      sent += value.sequence;
    }
  }
  return sent;
}

}  // namespace vedette::bench
