// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/skipped_runs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <string.h>

#include <cstddef>
#include <utility>

namespace vedette {
namespace {

// docs/adr/0012-two-programs-on-tcp-state.md
constexpr std::string_view kPair[] = {"tcp_state", "tcp_nested"};

}  // namespace

bool TellsSkippedRuns(uint32_t info_bytes) {
  return info_bytes >=
         offsetof(bpf_prog_info, recursion_misses) + sizeof(bpf_prog_info::recursion_misses);
}

void LeaveOutPairs(std::vector<SkippedRuns>& runs) {
  const auto find = [&](std::string_view name) -> SkippedRuns* {
    for (SkippedRuns& program : runs) {
      if (program.program == name && !program.detached) {
        return &program;
      }
    }
    return nullptr;
  };
  SkippedRuns* const first = find(kPair[0]);
  SkippedRuns* const second = find(kPair[1]);
  if (first != nullptr && second != nullptr) {
    first->count = second->count = 0;
  }
}

uint64_t SumOfSkippedRuns(const std::vector<SkippedRuns>& runs, std::string_view probe) {
  uint64_t sum = 0;
  for (const SkippedRuns& program : runs) {
    sum += probe.empty() || program.probe == probe ? program.count : 0;
  }
  return sum;
}

std::vector<std::string> GapsOfSkippedRuns(const std::vector<SkippedRuns>& runs) {
  std::vector<std::string> gaps;
  for (const SkippedRuns& program : runs) {
    if (program.count > 0) {
      gaps.push_back(fmt::format(
          "the kernel skipped {} runs of program {} since it was attached: it was running on that "
          "CPU already; what they would have seen is lost",
          program.count, program.program));
    }
    if (program.detached) {
      gaps.push_back(fmt::format(
          "program {} was detached by somebody else: what it would see is lost until the agent is "
          "started anew",
          program.program));
    }
  }
  return gaps;
}

bool IsAttached(int link_fd) {
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(link_fd, &info, &size) != 0 || info.type != BPF_LINK_TYPE_CGROUP ||
         info.cgroup.cgroup_id != 0;
}

bpf_link* OpenAttachedLink(const std::string& pin) {
  bpf_link* link = bpf_link__open(pin.c_str());
  if (link == nullptr || IsAttached(bpf_link__fd(link))) {
    return link;
  }
  bpf_link__unpin(link);
  bpf_link__destroy(link);
  return nullptr;
}

void AttachedPrograms::Note(const std::string& probe, const std::string& program,
                            const bpf_link* link) {
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) == 0) {
    if (UniqueFd fd(bpf_prog_get_fd_by_id(info.prog_id)); fd.valid()) {
      UniqueFd own(fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 0));
      programs_.push_back({probe, program, std::move(fd), std::move(own)});
      return;
    }
  }
  spdlog::warn(
      "program {}: what is attached cannot be opened, so its skipped runs are not counted: {}",
      program, strerror(errno));
}

std::vector<SkippedRuns> AttachedPrograms::Read() const {
  std::vector<SkippedRuns> skipped;
  for (const Program& program : programs_) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    const bool detached = !IsAttached(program.link.get());
    if (bpf_obj_get_info_by_fd(program.fd.get(), &info, &size) == 0 && TellsSkippedRuns(size)) {
      skipped.push_back({program.probe, program.name, info.recursion_misses, detached});
    } else if (detached) {
      skipped.push_back({program.probe, program.name, 0, detached});
    }
  }
  LeaveOutPairs(skipped);
  return skipped;
}

}  // namespace vedette
