// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/lsm_check.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>

#include "agent/base/unique_fd.h"
#include "agent/probes/libbpf_reason.h"

namespace vedette {
namespace {

constexpr char kProgram[] = "lsm_file_open";
constexpr char kMap[] = "scratch_lsm";
constexpr uint32_t kAsker = 0;
constexpr uint32_t kOpens = 1;

absl::Status Refused(const std::string& what, int error) {
  std::string reason = LibbpfReason(what, error);
  // Full, or short of memory: it has BPF LSM all the same.
  if (error != EPERM && error != E2BIG && error != ENOMEM && error != EBUSY) {
    reason += "; use a kernel built with CONFIG_BPF_LSM=y";
  }
  return absl::FailedPreconditionError(reason);
}

std::string ActiveModules() {
  std::ifstream file("/sys/kernel/security/lsm");
  std::string modules;
  std::getline(file, modules);
  return modules;
}

}  // namespace

std::string LsmIsNotCalled(std::string_view active) {
  if (active.empty()) {
    return "the kernel attaches programs of BPF LSM and never calls them; boot it with bpf in the "
           "option lsm=";
  }
  return fmt::format(
      "the kernel attaches programs of BPF LSM and never calls them, since bpf is not among its "
      "security modules ({0}); boot it with lsm={0},bpf",
      active);
}

absl::Status CheckLsm(const EmbeddedObject* embedded) {
  if (embedded == nullptr) {
    return absl::InternalError("no BPF object in this binary asks for BPF LSM");
  }
  KeepLibbpfComplaints();
  ForgetLibbpfComplaint();
  LIBBPF_OPTS(bpf_object_open_opts, named, .object_name = "lsm");
  const std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object(
      bpf_object__open_mem(embedded->elf.data(), embedded->elf.size(), &named), &bpf_object__close);
  if (object == nullptr || bpf_object__load(object.get()) != 0) {
    return Refused("the kernel refused a program of BPF LSM", errno);
  }
  const int map = bpf_object__find_map_fd_by_name(object.get(), kMap);
  const uint64_t self = static_cast<uint64_t>(getpid());
  uint64_t opens = 0;
  if (bpf_map_update_elem(map, &kAsker, &self, BPF_ANY) != 0) {
    return Refused("the map of the check for BPF LSM", errno);
  }
  ForgetLibbpfComplaint();
  const std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)> link(
      bpf_program__attach(bpf_object__find_program_by_name(object.get(), kProgram)),
      &bpf_link__destroy);
  if (link == nullptr) {
    return Refused("the kernel attaches no program of BPF LSM", errno);
  }
  const UniqueFd opened(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (bpf_map_lookup_elem(map, &kOpens, &opens) != 0 || opens == 0) {
    return absl::FailedPreconditionError(LsmIsNotCalled(ActiveModules()));
  }
  return absl::OkStatus();
}

}  // namespace vedette
