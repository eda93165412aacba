// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/process_look.h"

#include <bpf/bpf.h>

#include "bpf/lib/process_context.h"

namespace vedette {

std::optional<ProcessLook> LookAtProcess(const ProbeSet& probes, pid_t tgid) {
  process_context context;
  const uint32_t key = static_cast<uint32_t>(tgid);
  if (bpf_map_lookup_elem(probes.MapFd("vd_processes"), &key, &context) != 0) {
    return std::nullopt;
  }
  return ProcessLook{context.wire.id.start_ns, context.wire.home_cgroup_id};
}

}  // namespace vedette
