// SPDX-License-Identifier: Apache-2.0
// Room in the cache of files: what was not used for the longest time is taken out.
#include <bpf/bpf.h>
#include <errno.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

struct Entry {
  uint64_t last_ns = 0;  // Since boot.
  wire_access_key key = {};
  uint32_t slot = 0;
};

std::vector<std::pair<wire_access_key, wire_verdict>> FilesOf(int fd) {
  std::vector<std::pair<wire_access_key, wire_verdict>> entries;
  wire_access_key key;
  for (const wire_access_key* at = nullptr; bpf_map_get_next_key(fd, at, &key) == 0; at = &key) {
    wire_verdict verdict;
    if (bpf_map_lookup_elem(fd, &key, &verdict) == 0) {
      entries.emplace_back(key, verdict);
    }
  }
  return entries;
}

// When an entry's slot was counted in last; 0: never since it was made.
uint64_t LastUse(int counts, uint32_t slot, std::vector<wire_count>& values) {
  uint64_t last_ns = 0;
  if (bpf_map_lookup_elem(counts, &slot, values.data()) == 0) {
    for (const wire_count& value : values) {
      last_ns = std::max<uint64_t>(last_ns, value.last_ns);
    }
  }
  return last_ns;
}

}  // namespace

size_t VerdictCache::FileEntries(uint64_t workload_number) const {
  const auto it = workloads_.find(workload_number);
  return it == workloads_.end() || !it->second.caches[kFileCache].valid()
             ? 0
             : FilesOf(it->second.caches[kFileCache].get()).size();
}

absl::StatusOr<VerdictCache::DroppedFiles> VerdictCache::DropFiles(uint64_t workload_number,
                                                                   size_t keep, size_t limit) {
  const auto it = workloads_.find(workload_number);
  DroppedFiles dropped;
  if (it == workloads_.end() || !it->second.caches[kFileCache].valid()) {
    return dropped;
  }
  const InnerMaps& maps = it->second;
  const auto entries = FilesOf(maps.caches[kFileCache].get());
  dropped.left = entries.size();
  if (entries.size() <= keep) {
    return dropped;
  }
  std::vector<wire_count> values(static_cast<size_t>(options_.cpus));
  std::vector<Entry> known;
  for (const auto& [key, verdict] : entries) {
    if (verdict.novelty == WIRE_NOVELTY_KNOWN) {  // The others nobody has judged yet.
      known.push_back(
          {std::max<uint64_t>(LastUse(maps.counts.get(), verdict.slot, values), verdict.first_ns),
           key, verdict.slot});
    }
  }
  std::sort(known.begin(), known.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.last_ns, a.slot) < std::tie(b.last_ns, b.slot);
  });
  known.resize(std::min({known.size(), entries.size() - keep, limit}));
  for (const Entry& entry : known) {
    if (bpf_map_delete_elem(maps.caches[kFileCache].get(), &entry.key) != 0 && errno != ENOENT) {
      return MapError("making room in a cache of files");
    }
    dropped.slots.push_back({workload_number, maps.generation, kFileCache, entry.slot});
    --dropped.left;
  }
  return dropped;
}

void VerdictCache::ForgetCounts(const std::vector<CacheSlot>& slots) {
  for (const CacheSlot& slot : slots) {
    const auto it = workloads_.find(slot.workload_number);
    if (it != workloads_.end() && it->second.generation == slot.generation) {
      bpf_map_delete_elem(it->second.counts.get(), &slot.slot);  // Many were never counted in.
    }
  }
}

std::vector<CacheSlot> VerdictCache::WithoutEntry(uint64_t workload_number,
                                                  const std::vector<CacheSlot>& file_slots) const {
  absl::flat_hash_set<uint32_t> there;
  if (const auto it = workloads_.find(workload_number);
      it != workloads_.end() && it->second.caches[kFileCache].valid()) {
    for (const auto& [key, verdict] : FilesOf(it->second.caches[kFileCache].get())) {
      there.insert(verdict.slot);
    }
  }
  std::vector<CacheSlot> without;
  std::copy_if(file_slots.begin(), file_slots.end(), std::back_inserter(without),
               [&](const CacheSlot& slot) { return !there.contains(slot.slot); });
  return without;
}

}  // namespace vedette
