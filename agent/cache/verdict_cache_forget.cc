// SPDX-License-Identifier: Apache-2.0
// Taking entries back, so that their acts are news again.
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <utility>
#include <vector>

#include "agent/base/status.h"
#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {

// A walk that deletes as it goes starts anew at each entry it deleted.
template <typename Key>
std::vector<std::pair<Key, uint32_t>> VerdictCache::EntriesOf(
    int fd, const absl::flat_hash_set<uint32_t>& slots) {
  std::vector<std::pair<Key, uint32_t>> entries;
  Key key;
  for (const Key* at = nullptr; bpf_map_get_next_key(fd, at, &key) == 0; at = &key) {
    wire_verdict verdict;
    if (bpf_map_lookup_elem(fd, &key, &verdict) == 0 && slots.contains(verdict.slot)) {
      entries.emplace_back(key, verdict.slot);
    }
  }
  return entries;
}

void VerdictCache::ForgetUse(uint64_t workload_number, std::string_view key) const {
  wire_code_key code;
  wire_capabilities used;
  if (key.size() != sizeof(code)) {
    return;
  }
  memcpy(&code, key.data(), sizeof(code));
  if (code.verb == WIRE_VERB_CAPABILITY &&
      bpf_map_lookup_elem(maps_("vd_capabilities"), &workload_number, &used) == 0) {
    used.used[code.object.flags & 1] &= ~(uint64_t{1} << (code.object.generation & 63));
    // What is used at this moment may lose its bit, which costs one look into the cache.
    bpf_map_update_elem(maps_("vd_capabilities"), &workload_number, &used, BPF_EXIST);
  }
}

absl::Status VerdictCache::Forget(const std::vector<CacheSlot>& slots) {
  absl::flat_hash_map<uint64_t, absl::flat_hash_set<uint32_t>> by_workload;
  for (const CacheSlot& slot : slots) {
    if (InnerFd(slot) >= 0) {
      by_workload[slot.workload_number].insert(slot.slot);
    }
  }
  absl::Status status;
  for (const auto& [number, chosen] : by_workload) {
    const InnerMaps& maps = workloads_.at(number);
    for (const auto& [key, slot] : EntriesOf<wire_code_key>(maps.code.get(), chosen)) {
      if (bpf_map_delete_elem(maps.code.get(), &key) != 0 && errno != ENOENT) {
        status.Update(MapError("taking back a behaviour"));
      }
      ForgetUse(number, {reinterpret_cast<const char*>(&key), sizeof(key)});
    }
    for (const auto& [key, slot] : EntriesOf<wire_flow_key>(maps.flow.get(), chosen)) {
      if (bpf_map_delete_elem(maps.flow.get(), &key) != 0 && errno != ENOENT) {
        status.Update(MapError("taking back a behaviour"));
        continue;
      }
      const std::string bytes(reinterpret_cast<const char*>(&key), sizeof(key));
      if (auto classes = classes_.find(number);
          classes != classes_.end() && classes->second.erase(bytes) > 0) {
        // Open sockets go on counting there; should the class come back, it keeps its counts.
        planned_classes_[number][bytes] = slot;
      }
    }
    for (const auto& [key, slot] : EntriesOf<wire_access_key>(maps.file.get(), chosen)) {
      if (bpf_map_delete_elem(maps.file.get(), &key) != 0 && errno != ENOENT) {
        status.Update(MapError("taking back a behaviour on files"));
      }
    }
  }
  return status;
}

}  // namespace vedette
