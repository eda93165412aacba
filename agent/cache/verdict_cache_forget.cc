// SPDX-License-Identifier: Apache-2.0
// Taking entries back, so that their acts are news again.
#include <bpf/bpf.h>
#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "agent/base/status.h"
#include "agent/cache/cache_keys.h"
#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {

namespace {

// A walk that deletes as it goes starts anew at each entry it deleted.
template <typename Key>
std::vector<std::pair<Key, uint32_t>> EntriesOf(int fd,
                                                const absl::flat_hash_set<uint32_t>& slots) {
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

}  // namespace

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

template <typename Key>
absl::Status VerdictCache::ForgetIn(const CacheSlot& cache,
                                    const absl::flat_hash_set<uint32_t>& slots) {
  const int fd = InnerFd(cache);
  const uint64_t number = cache.workload_number;
  absl::Status status;
  for (const auto& [key, slot] : EntriesOf<Key>(fd, slots)) {
    const std::string bytes(reinterpret_cast<const char*>(&key), sizeof(key));
    const bool is_gone = bpf_map_delete_elem(fd, &key) == 0 || errno == ENOENT;
    if (!is_gone) {
      status.Update(
          MapError(fmt::format("taking back a behaviour of the cache {}", CacheName(cache.cache))));
    }
    if constexpr (std::is_same_v<Key, wire_code_key>) {
      ForgetUse(number, bytes);
    } else if constexpr (std::is_same_v<Key, wire_flow_key>) {
      if (auto classes = classes_.find(number);
          is_gone && classes != classes_.end() && classes->second.erase(bytes) > 0) {
        // Open sockets go on counting there; should the class come back, it keeps its counts.
        planned_classes_[number][bytes] = slot;
      }
    }
  }
  return status;
}

absl::Status VerdictCache::Forget(const std::vector<CacheSlot>& slots) {
  absl::flat_hash_map<CacheSlot, absl::flat_hash_set<uint32_t>> by_cache;
  for (CacheSlot slot : slots) {
    const uint32_t number = std::exchange(slot.slot, 0);
    if (InnerFd(slot) >= 0) {
      by_cache[slot].insert(number);
    }
  }
  absl::Status status;
  for (const auto& [cache, chosen] : by_cache) {
    status.Update(WithKeyOf(cache.cache, [this, &cache = cache, &chosen = chosen](const auto& key) {
      return ForgetIn<std::decay_t<decltype(key)>>(cache, chosen);
    }));
  }
  return status;
}

}  // namespace vedette
