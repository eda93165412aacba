// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/pins.h"

#include <bpf/bpf.h>
#include <errno.h>

#include <filesystem>
#include <string_view>

#include "agent/base/status.h"

namespace vedette::bench {

absl::StatusOr<std::string> BuildDir(const std::string& pin_dir) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(pin_dir, error)) {
    if (entry.is_directory(error)) {
      return entry.path().string();
    }
  }
  return absl::NotFoundError(pin_dir + ": the agent has pinned nothing here");
}

int CountAgents() {
  int count = 0;
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    count += bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 &&
             std::string_view(info.name).rfind("process_newtask", 0) == 0;
  }
  return count;
}

absl::StatusOr<ProgramStatistics> ProgramStatistics::Open(const std::string& pin_dir) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string build, BuildDir(pin_dir));
  ProgramStatistics opened;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(build + "/links", error)) {
    const UniqueFd link(bpf_obj_get(entry.path().c_str()));
    bpf_link_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(link.get(), &info, &size) != 0) {
      return absl::ErrnoToStatus(errno, entry.path().string());
    }
    UniqueFd program(bpf_prog_get_fd_by_id(info.prog_id));
    if (!program.valid()) {
      return absl::ErrnoToStatus(errno, entry.path().string());
    }
    opened.programs_[entry.path().filename()] = std::move(program);
  }
  opened.statistics_ = UniqueFd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!opened.statistics_.valid()) {
    return absl::ErrnoToStatus(errno, "BPF_ENABLE_STATS");
  }
  return opened;
}

absl::StatusOr<ProgramStatistics::Runs> ProgramStatistics::Read() const {
  Runs runs;
  for (const auto& [name, program] : programs_) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) {
      return absl::ErrnoToStatus(errno, name);
    }
    runs[name] = {info.run_time_ns, info.run_cnt};
  }
  return runs;
}

}  // namespace vedette::bench
