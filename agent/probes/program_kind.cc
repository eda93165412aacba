// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/program_kind.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace vedette {

bool IsCgroupProgram(const bpf_program* program) {
  switch (bpf_program__type(program)) {
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
      return true;
    default:
      return false;
  }
}

bool IsIterator(const bpf_program* program) {
  return bpf_program__expected_attach_type(program) == BPF_TRACE_ITER;
}

bool IsBody(const bpf_program* program) {
  return std::string_view(bpf_program__name(program)).ends_with("_body");
}

bool IsOfProbe(std::string_view program, std::string_view probe) {
  return program.size() > probe.size() && program.starts_with(probe) &&
         program[probe.size()] == '_';
}

uint64_t VerifiedInstructions(int program_fd) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(program_fd, &info, &size) == 0 ? info.verified_insns : 0;
}

}  // namespace vedette
