// SPDX-License-Identifier: Apache-2.0
// Which cgroups processes are at home in.
#include <bpf/bpf.h>
#include <errno.h>

#include <vector>

#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/lib/process_context.h"

namespace vedette {
namespace {

constexpr uint32_t kProcessesAtOnce = 256;

}  // namespace

absl::StatusOr<absl::flat_hash_set<uint64_t>> VerdictCache::HomeCgroups() const {
  const int fd = maps_("vd_processes");
  absl::flat_hash_set<uint64_t> homes;
  uint32_t most = kProcessesAtOnce;
  std::vector<uint32_t> tgids(most);
  std::vector<process_context> contexts(most);
  // A batch starts at a bucket and may end before the map does; the kernel says where to go on.
  uint32_t position = 0;
  for (void* from = nullptr;;) {
    uint32_t count = most;
    const int error =
        bpf_map_lookup_batch(fd, from, &position, tgids.data(), contexts.data(), &count, nullptr);
    if (error != 0 && errno == ENOSPC) {  // A bucket holds more.
      most *= 2;
      tgids.resize(most);
      contexts.resize(most);
      continue;
    }
    const bool is_end = error != 0;
    if (is_end && errno != ENOENT) {
      return MapError("reading the home cgroups of processes");
    }
    for (uint32_t i = 0; i < count; ++i) {
      homes.insert(contexts[i].wire.home_cgroup_id);
    }
    if (is_end) {
      return homes;
    }
    from = &position;
  }
}

}  // namespace vedette
