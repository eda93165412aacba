// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <errno.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "agent/base/status.h"
#include "agent/probes/kernel_hooks.h"
#include "agent/probes/leftovers.h"
#include "agent/probes/libbpf_reason.h"
#include "agent/probes/loaded_object.h"
#include "agent/probes/probe_set.h"
#include "agent/probes/program_kind.h"
#include "agent/probes/registry.h"

namespace vedette {

absl::StatusOr<bpf_link*> ProbeSet::AttachProgram(bpf_program* program) {
  ForgetLibbpfComplaint();
  bpf_link* link = IsCgroupProgram(program) ? bpf_program__attach_cgroup(program, cgroup_fd_.get())
                                            : bpf_program__attach(program);
  if (link == nullptr) {
    return absl::PermissionDeniedError(
        LibbpfReason(fmt::format("{} cannot be attached to {}", bpf_program__name(program),
                                 bpf_program__section_name(program)),
                     errno));
  }
  const std::string pin = fmt::format("{}/links/{}", build_dir_, bpf_program__name(program));
  if (bpf_link__pin(link, pin.c_str()) != 0) {
    const int error = errno;
    bpf_link__destroy(link);
    return absl::InternalError(LibbpfReason("cannot pin the link at " + pin, error));
  }
  return link;
}

bool ProbeSet::AttachTo(bpf_program* program, LoadedObject& object, ProbeStatus& status) {
  const std::string name = bpf_program__name(program);
  const std::string pin = fmt::format("{}/links/{}", build_dir_, name);
  status.verified_instructions += VerifiedInstructions(bpf_program__fd(program));
  if (bpf_link* pinned = OpenAttachedLink(pin); pinned != nullptr) {
    object.links.emplace_back(pinned);
    status.programs.push_back(name);
    attached_.Note(status.name, name, pinned);
    return false;
  }
  absl::StatusOr<bpf_link*> link = AttachProgram(program);
  if (!link.ok()) {
    status.ok = false;
    status.reason = std::string(Message(link.status()));
    spdlog::warn("probe {} is degraded: {}", status.name, status.reason);
    return true;
  }
  object.links.emplace_back(*link);
  status.programs.push_back(name);
  attached_.Note(status.name, name, *link);
  return true;
}

// Whichever object its programs are in.
void ProbeSet::AttachProbe(std::string_view probe, LoadedObject& object, ProbeStatus& status) {
  std::string_view new_on;  // A hook.
  bpf_program* program;
  bpf_object__for_each_program(program, object.object.get()) {
    const std::string_view name = bpf_program__name(program);
    if (IsIterator(program) || !bpf_program__autoload(program) || !IsOfProbe(name, probe)) {
      continue;
    }
    if (IsBody(program)) {
      status.verified_instructions += VerifiedInstructions(bpf_program__fd(program));
      continue;
    }
    const std::string_view hook = bpf_program__section_name(program);
    if (hook == new_on) {
      // Programs of one hook run in the order in which they are attached.
      unlink(fmt::format("{}/links/{}", build_dir_, name).c_str());
    }
    if (AttachTo(program, object, status)) {
      new_on = hook;
    }
  }
}

ProbeStatus ProbeSet::AttachObjects(const ProbeInfo& probe) {
  ProbeStatus status = {std::string(probe.name), true, "", {}, 0};
  for (LoadedObject& object : objects_) {
    if (object.object) {
      AttachProbe(probe.name, object, status);
    } else if (object.name == probe.name) {
      status = object.status;
    }
  }
  return status;
}

ProbeStatus ProbeSet::AttachFiles(const ProbeInfo& probe) {
  ProbeStatus status = AttachObjects(probe);
  if (without_lsm_.empty() && !status.ok) {
    std::erase_if(objects_, [](const auto& object) { return object.name == kFilesLsmObject; });
    LoadFilesWithoutLsm(probe, status.reason);
    status = AttachObjects(probe);
  }
  // A killed agent may have had the other.
  RemoveLinkPins(build_dir_, without_lsm_.empty() ? kFilesSyscallPrograms : kFilesLsmObject);
  if (status.ok) {
    status.note =
        without_lsm_.empty()
            ? "by BPF LSM (file_open), at no cost to other system calls"
            : fmt::format("by sys_exit, which every system call pays for: {}", without_lsm_);
  }
  return status;
}

void ProbeSet::Attach() {
  for (const ProbeInfo& probe : AllProbes()) {
    if (!IsWanted(probe.name)) {
      RemoveLinkPins(build_dir_, probe.name);  // The agent before may have wanted it.
      continue;
    }
    ProbeStatus status = probe.name == kFilesProbe ? AttachFiles(probe) : AttachObjects(probe);
    if (std::string missing = MissingHooks(probe.name, without_hook_);
        status.ok && !missing.empty()) {
      status.ok = false;
      status.reason = std::move(missing);
      spdlog::warn("probe {} is degraded: {}", status.name, status.reason);
    }
    statuses_.push_back(std::move(status));
  }
  for (const LoadedObject& object : objects_) {
    if (!object.object && object.name == kScanObject) {
      statuses_.push_back(object.status);
    }
  }
}

}  // namespace vedette
