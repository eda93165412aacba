// SPDX-License-Identifier: Apache-2.0
// The set's directory of pins, and the maps that are shared by way of it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/file.h>

#include <filesystem>

#include "agent/base/status.h"
#include "agent/probes/bpffs.h"
#include "agent/probes/leftovers.h"
#include "agent/probes/libbpf_reason.h"
#include "agent/probes/pin_dir.h"
#include "agent/probes/probe_set.h"

namespace vedette {
namespace {

constexpr std::string_view kSharedMapPrefix = "vd_";

}  // namespace

absl::Status ProbeSet::TakePinDir() {
  VEDETTE_ASSIGN_OR_RETURN(mounted_bpffs_, EnsureBpffsDir(options_.pin_dir));
  lock_ = UniqueFd(open(options_.pin_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock_.valid() || flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    remove_on_exit_ = false;
    return absl::AlreadyExistsError(
        fmt::format("{}: another agent uses these pins; stop it, or give this one its own "
                    "bpf.pin_dir",
                    options_.pin_dir));
  }
  absl::StatusOr<std::vector<std::string>> builds = FindPinnedBuilds(options_.pin_dir);
  if (!builds.ok()) {
    remove_on_exit_ = false;
    if (mounted_bpffs_) {
      UnmountBpffs();
    }
    return builds.status();
  }
  std::error_code error;
  for (const std::string& build : *builds) {
    if (std::filesystem::path(build) != build_dir_) {
      discarded_.push_back(
          fmt::format("{}: left by another build of the agent, which was killed; what it had not "
                      "told is lost",
                      build));
      spdlog::warn("{}", discarded_.back());
      std::filesystem::remove_all(build, error);
    }
  }
  adopted_ = KeepLeftovers(build_dir_);
  std::filesystem::create_directories(build_dir_ + "/maps", error);
  std::filesystem::create_directories(build_dir_ + "/links", error);
  if (error) {
    return absl::PermissionDeniedError(fmt::format("{}: {}", build_dir_, error.message()));
  }
  return absl::OkStatus();
}

absl::Status ProbeSet::PrepareMap(bpf_map* map) {
  const std::string name = bpf_map__name(map);
  if (name.rfind(kSharedMapPrefix, 0) != 0) {
    return absl::OkStatus();
  }
  if (!maps_.contains(name)) {
    const std::string pin = build_dir_ + "/maps/" + name;
    if (UniqueFd pinned(bpf_obj_get(pin.c_str())); pinned.valid()) {
      maps_[name] = std::move(pinned);
    }
  }
  if (auto it = maps_.find(name); it != maps_.end()) {
    if (bpf_map__reuse_fd(map, it->second.get()) != 0) {
      return absl::InternalError(LibbpfReason("cannot share map " + name, errno));
    }
    return absl::OkStatus();
  }
  if (name.starts_with("vd_ring_")) {
    bpf_map__set_max_entries(map, options_.ring_bytes);
  } else if (name == "vd_processes") {
    bpf_map__set_max_entries(map, options_.max_processes);
  }
  return absl::OkStatus();
}

absl::Status ProbeSet::ShareMaps(bpf_object* object) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    if (name.rfind(kSharedMapPrefix, 0) != 0 || maps_.contains(name)) {
      continue;
    }
    const std::string pin = build_dir_ + "/maps/" + name;
    if (bpf_obj_pin(bpf_map__fd(map), pin.c_str()) != 0) {
      return absl::InternalError(LibbpfReason("cannot pin map at " + pin, errno));
    }
    maps_[name] = UniqueFd(fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0));
  }
  return absl::OkStatus();
}

}  // namespace vedette
