// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/probe_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/resource.h>

#include <thread>

#include "agent/base/status.h"
#include "agent/probes/bpffs.h"
#include "agent/probes/iterator_read.h"
#include "agent/probes/kernel_hooks.h"
#include "agent/probes/leftovers.h"
#include "agent/probes/libbpf_reason.h"
#include "agent/probes/loaded_object.h"
#include "agent/probes/lsm_check.h"
#include "agent/probes/objects.h"
#include "agent/probes/program_kind.h"
#include "agent/probes/registry.h"

namespace vedette {
namespace {

constexpr std::string_view kMapsObject = "maps";
// All probes and the scan in two objects, each loaded by a thread of its own.
constexpr std::string_view kTogetherObjects[] = {"together_code", "together_flow"};

}  // namespace

ProbeSet::ProbeSet(const ProbeOptions& options)
    : options_(options), build_dir_(options.pin_dir + "/" + BuildDigest(options.objects)) {}

ProbeSet::~ProbeSet() {
  if (remove_on_exit_) {
    Remove();
  }
}

absl::StatusOr<std::unique_ptr<ProbeSet>> ProbeSet::Load(const ProbeOptions& options) {
  KeepLibbpfComplaints();
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return absl::FailedPreconditionError(
        "/sys/kernel/btf/vmlinux: this kernel has no BTF; use a kernel built with "
        "CONFIG_DEBUG_INFO_BTF=y");
  }
  // Kernels before 5.11 charge maps against this; later ones do not look at it.
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unlimited);

  std::unique_ptr<ProbeSet> set(new ProbeSet(options));
  VEDETTE_RETURN_IF_ERROR(set->TakePinDir());
  set->cgroup_fd_ = UniqueFd(open(options.cgroup_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!set->cgroup_fd_.valid()) {
    return absl::NotFoundError(fmt::format("{}: cannot open the cgroup v2 hierarchy: {}",
                                           options.cgroup_root, strerror(errno)));
  }
  set->without_hook_ = ProgramsWithoutHook();
  VEDETTE_RETURN_IF_ERROR(set->LoadObject(kMapsObject));
  if (absl::Status together = set->LoadTogether(); !together.ok()) {
    spdlog::info("the probes are loaded one by one, since together they are refused: {}",
                 Message(together));
    set->objects_.resize(1);  // The maps.
    set->LoadOneByOne();
  }
  for (const ProbeInfo& probe : AllProbes()) {
    if (probe.name == kFilesProbe && options.files) {
      set->LoadFiles(probe);
    }
  }
  return set;
}

// Most of a start is the verifier's work, and a relocation that goes over all types of the kernel.
absl::Status ProbeSet::LoadTogether() {
  absl::StatusOr<LoadedObject> code = OpenObject(kTogetherObjects[0]);
  VEDETTE_RETURN_IF_ERROR(code.status());
  absl::StatusOr<LoadedObject> flow = OpenObject(kTogetherObjects[1]);
  VEDETTE_RETURN_IF_ERROR(flow.status());
  absl::Status flow_loaded;
  std::thread other([&] { flow_loaded = LoadIntoKernel(*flow); });
  const absl::Status code_loaded = LoadIntoKernel(*code);
  other.join();
  VEDETTE_RETURN_IF_ERROR(code_loaded);
  VEDETTE_RETURN_IF_ERROR(flow_loaded);
  VEDETTE_RETURN_IF_ERROR(KeepObject(*std::move(code)));
  return KeepObject(*std::move(flow));
}

void ProbeSet::LoadOrDegrade(const ProbeInfo& probe) {
  absl::Status status = LoadObject(probe.name);
  if (status.ok()) {
    return;
  }
  LoadedObject failed;
  failed.name = std::string(probe.name);
  failed.status = {
      failed.name, false, fmt::format("{}; {}", Message(status), probe.without), {}, 0};
  spdlog::warn("probe {} is degraded: {}", failed.name, failed.status.reason);
  objects_.push_back(std::move(failed));
}

void ProbeSet::LoadFiles(const ProbeInfo& probe) {
  absl::Status lsm = CheckLsm(FindObject(options_.objects, kLsmObject));
  if (lsm.ok()) {
    lsm = LoadObject(kFilesLsmObject);
  }
  if (!lsm.ok()) {
    LoadFilesWithoutLsm(probe, Message(lsm));
  }
}

void ProbeSet::LoadFilesWithoutLsm(const ProbeInfo& probe, std::string_view why) {
  without_lsm_ = why;
  spdlog::info("files are watched by the exit of system calls: {}", why);
  LoadOrDegrade(probe);
}

void ProbeSet::LoadOneByOne() {
  for (const ProbeInfo& probe : AllProbes()) {
    if (IsWanted(probe.name) && probe.name != kFilesProbe) {
      LoadOrDegrade(probe);
    }
  }
  LoadOrDegrade(kScan);
}

absl::StatusOr<ProbeSet::LoadedObject> ProbeSet::OpenObject(std::string_view name) {
  const EmbeddedObject* embedded = FindObject(options_.objects, name);
  if (embedded == nullptr) {
    return absl::InternalError(fmt::format("no BPF object {} in this binary", name));
  }
  ForgetLibbpfComplaint();
  LoadedObject opened;
  opened.name = std::string(name);
  opened.status.name = opened.name;
  LIBBPF_OPTS(bpf_object_open_opts, open_options, .object_name = opened.name.c_str());
  opened.object.reset(
      bpf_object__open_mem(embedded->elf.data(), embedded->elf.size(), &open_options));
  if (!opened.object) {
    return absl::InternalError(LibbpfReason("the BPF object cannot be opened", errno));
  }
  bpf_map* map;
  bpf_object__for_each_map(map, opened.object.get()) { VEDETTE_RETURN_IF_ERROR(PrepareMap(map)); }
  LeaveOut(opened.object.get());
  return opened;
}

bool ProbeSet::IsWanted(std::string_view probe) const {
  return (probe != kPrivilegeProbe || options_.privilege) &&
         (probe != kCapabilityProbe || options_.capabilities) &&
         (probe != kFilesProbe || options_.files);
}

void ProbeSet::LeaveOut(bpf_object* object) const {
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    const std::string_view name = bpf_program__name(program);
    bool is_loaded = !without_hook_.contains(name);
    for (const ProbeInfo& probe : AllProbes()) {
      is_loaded = is_loaded && (!IsOfProbe(name, probe.name) || IsWanted(probe.name));
    }
    bpf_program__set_autoload(program, is_loaded);
  }
}

absl::Status ProbeSet::LoadIntoKernel(LoadedObject& opened) {
  ForgetLibbpfComplaint();
  if (bpf_object__load(opened.object.get()) != 0) {
    return absl::PermissionDeniedError(LibbpfReason("the kernel refused the programs", errno));
  }
  opened.status.ok = true;
  return absl::OkStatus();
}

absl::Status ProbeSet::KeepObject(LoadedObject loaded) {
  VEDETTE_RETURN_IF_ERROR(ShareMaps(loaded.object.get()));
  objects_.push_back(std::move(loaded));
  return absl::OkStatus();
}

absl::Status ProbeSet::LoadObject(std::string_view name) {
  VEDETTE_ASSIGN_OR_RETURN(LoadedObject opened, OpenObject(name));
  VEDETTE_RETURN_IF_ERROR(LoadIntoKernel(opened));
  return KeepObject(std::move(opened));
}

int ProbeSet::MapFd(std::string_view name) const {
  auto it = maps_.find(std::string(name));
  return it == maps_.end() ? -1 : it->second.get();
}

absl::StatusOr<std::string> ProbeSet::RunIterator(std::string_view program,
                                                  IteratorTarget target) const {
  for (const LoadedObject& object : objects_) {
    const bpf_program* found =
        object.object
            ? bpf_object__find_program_by_name(object.object.get(), std::string(program).c_str())
            : nullptr;
    if (found == nullptr) {
      continue;
    }
    bpf_iter_link_info info = {};
    LIBBPF_OPTS(bpf_iter_attach_opts, attach_options, .link_info = &info,
                .link_info_len = sizeof(info));
    if (target.map_fd >= 0) {
      info.map.map_fd = static_cast<uint32_t>(target.map_fd);
    } else if (target.own_process) {
      info.task.pid = static_cast<uint32_t>(getpid());
    }
    ForgetLibbpfComplaint();
    using Link = std::unique_ptr<bpf_link, LoadedObject::DestroyLink>;
    Link link(bpf_program__attach_iter(found, &attach_options));
    if (!link && target.own_process) {
      // Before 6.1 an iterator cannot be told to look at one process; the program itself can.
      link = Link(bpf_program__attach_iter(found, nullptr));
    }
    if (!link) {
      return absl::InternalError(LibbpfReason(fmt::format("iterator {}", program), errno));
    }
    UniqueFd iterator(bpf_iter_create(bpf_link__fd(link.get())));
    absl::StatusOr<std::string> bytes = ReadIterator(iterator.get());
    if (!bytes.ok()) {
      return absl::InternalError(
          fmt::format("reading iterator {}: {}", program, Message(bytes.status())));
    }
    return bytes;
  }
  return absl::NotFoundError(fmt::format("no BPF object has the iterator {}", program));
}

std::vector<std::pair<std::string, int>> ProbeSet::ProgramFds() const {
  std::vector<std::pair<std::string, int>> fds;
  for (const LoadedObject& object : objects_) {
    bpf_program* program;
    if (!object.object) {
      continue;
    }
    bpf_object__for_each_program(program, object.object.get()) {
      if (bpf_program__autoload(program)) {
        fds.emplace_back(bpf_program__name(program), bpf_program__fd(program));
      }
    }
  }
  return fds;
}

uint32_t ProbeSet::MaxEntries(std::string_view name) const {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(MapFd(name), &info, &size) == 0 ? info.max_entries : 0;
}

void ProbeSet::Detach() {
  RemoveLinkPins(build_dir_);
  attached_.Clear();
  for (LoadedObject& object : objects_) {
    object.links.clear();
  }
}

void ProbeSet::Remove() {
  RemoveBpffsDir(build_dir_);
  attached_.Clear();
  objects_.clear();
  maps_.clear();
  lock_.Reset();
  if (mounted_bpffs_) {
    UnmountBpffs();
  }
  remove_on_exit_ = false;
}

void ProbeSet::Abandon() { remove_on_exit_ = false; }

}  // namespace vedette
