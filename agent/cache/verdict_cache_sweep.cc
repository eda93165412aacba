// SPDX-License-Identifier: Apache-2.0
// What the kernel could not tell: entries that wait, and what is lost for good.
#include <bpf/bpf.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "absl/time/clock.h"
#include "agent/cache/cache_keys.h"
#include "agent/cache/maps.h"
#include "agent/cache/swept_event.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

bool IsFileClass(std::string_view key) {
  wire_access_key wire;
  if (key.size() != sizeof(wire)) {
    return false;
  }
  memcpy(&wire, key.data(), sizeof(wire));
  return wire.grain != WIRE_GRAIN_OBJECT;
}

}  // namespace

template <typename Key>
void VerdictCache::SweepMap(const CacheSlot& cache, const IsLost& is_lost,
                            std::vector<Event>& events) {
  constexpr bool kIsCode = std::is_same_v<Key, wire_code_key>;
  const int fd = InnerFd(cache);
  CacheSlot slot = cache;
  // An update moves an entry to the front of its bucket, where the walk would meet it again.
  std::vector<std::pair<Key, wire_verdict>> lost;
  Key key;
  for (const Key* at = nullptr; bpf_map_get_next_key(fd, at, &key) == 0; at = &key) {
    wire_verdict verdict;
    if (bpf_map_lookup_elem(fd, &key, &verdict) != 0) {
      continue;
    }
    slot.slot = verdict.slot;
    if (is_lost(verdict, slot)) {
      lost.emplace_back(key, verdict);
    }
  }
  for (auto& [found, verdict] : lost) {
    slot.slot = verdict.slot;
    if constexpr (kIsCode) {
      const std::optional<wire_script> script =
          found.verb == WIRE_VERB_EXEC ? LostScript(found.name) : std::nullopt;
      events.push_back(SweptEvent(found, verdict, slot, script ? &*script : nullptr));
      if (script) {
        scripts_in_use_[found.name].insert(slot);
      }
    } else {
      events.push_back(SweptEvent(found, verdict, slot));
    }
    if (verdict.novelty == WIRE_NOVELTY_UNREPORTED) {
      verdict.novelty = WIRE_NOVELTY_REPORTED;
      bpf_map_update_elem(fd, &found, &verdict, BPF_EXIST);
    }
  }
}

void VerdictCache::SweepMaps(uint64_t number, const InnerMaps& maps, const IsLost& is_lost,
                             std::vector<Event>& events) {
  for (uint32_t kind = 0; kind < kCacheKinds.size(); ++kind) {
    if (maps.caches[kind].valid()) {
      WithKeyOf(kind, [&](const auto& key) {
        SweepMap<std::decay_t<decltype(key)>>({number, maps.generation, kind, 0}, is_lost, events);
      });
    }
  }
}

std::vector<Event> VerdictCache::Forgotten(const std::function<bool(const CacheSlot&)>& is_judged) {
  const auto is_forgotten = [&](const wire_verdict& verdict, const CacheSlot& slot) {
    return verdict.novelty == WIRE_NOVELTY_KNOWN && !is_judged(slot);
  };
  std::vector<Event> events;
  for (const auto& [number, maps] : workloads_) {
    SweepMaps(number, maps, is_forgotten, events);
  }
  return events;
}

absl::Status VerdictCache::TellAgain(const CacheSlot& slot, std::string_view key) {
  // A class of files holds where a profile has generalised, and this profile is gone.
  if (slot.cache == WIRE_CACHE_FILE && IsFileClass(key)) {
    return bpf_map_delete_elem(InnerFd(slot), key.data()) == 0
               ? absl::OkStatus()
               : MapError("taking back a class of files");
  }
  absl::Status changed = ChangeVerdict(slot, key, [](wire_verdict& verdict) {
    verdict.novelty = WIRE_NOVELTY_UNREPORTED;
    verdict.flags = WIRE_VERDICT_FORGOTTEN;
  });
  if (slot.cache == WIRE_CACHE_CODE) {
    ForgetUse(slot.workload_number, key);
  }
  return changed;
}

std::vector<Event> VerdictCache::Sweep(bool also_reported,
                                       const std::function<bool(const CacheSlot&)>& is_judged) {
  const uint64_t losses = Losses();
  const uint64_t before = std::exchange(losses_[1], std::exchange(losses_[0], losses));
  if (!also_reported && losses == before) {
    return {};
  }
  const auto is_lost = [&](const wire_verdict& verdict, const CacheSlot& slot) {
    return (verdict.novelty == WIRE_NOVELTY_UNREPORTED &&
            !(verdict.flags & WIRE_VERDICT_FORGOTTEN)) ||
           (verdict.novelty == WIRE_NOVELTY_REPORTED && also_reported && !is_judged(slot));
  };
  std::vector<Event> events;
  for (auto& [number, maps] : workloads_) {
    SweepMaps(number, maps, is_lost, events);
    SweepLosses(number, maps, events);
  }
  DropUnusedScripts();
  return events;
}

void VerdictCache::ForEachProgram(
    const std::function<void(const CacheSlot&, const CodeKey&)>& visit) const {
  for (const auto& [number, maps] : workloads_) {
    const int fd = maps.caches[WIRE_CACHE_CODE].get();
    wire_code_key key;
    for (const wire_code_key* at = nullptr; bpf_map_get_next_key(fd, at, &key) == 0; at = &key) {
      wire_verdict verdict;
      if (key.verb == WIRE_VERB_EXEC && bpf_map_lookup_elem(fd, &key, &verdict) == 0) {
        visit({number, maps.generation, WIRE_CACHE_CODE, verdict.slot}, ToCodeKey(key.object));
      }
    }
  }
}

// A name is there before its entry. One that has none at two sweeps was reported by somebody else.
void VerdictCache::DropUnusedScripts() {
  absl::flat_hash_set<uint64_t> unused;
  uint64_t hash = 0;
  for (const uint64_t* at = nullptr; bpf_map_get_next_key(maps_("vd_lost_scripts"), at, &hash) == 0;
       at = &hash) {
    if (!scripts_in_use_.contains(hash)) {
      unused.insert(hash);
    }
  }
  for (const uint64_t name : unused) {
    if (scripts_unused_.contains(name)) {
      bpf_map_delete_elem(maps_("vd_lost_scripts"), &name);
    }
  }
  scripts_unused_ = std::move(unused);
}

void VerdictCache::ReleaseScript(const CacheSlot& slot, std::string_view key) {
  wire_code_key code;
  if (slot.cache != WIRE_CACHE_CODE || key.size() != sizeof(code) || scripts_in_use_.empty()) {
    return;
  }
  memcpy(&code, key.data(), sizeof(code));
  const auto used = scripts_in_use_.find(code.name);
  if (code.verb == WIRE_VERB_EXEC && used != scripts_in_use_.end() &&
      used->second.erase(slot) > 0 && used->second.empty()) {
    scripts_in_use_.erase(used);
    bpf_map_delete_elem(maps_("vd_lost_scripts"), &code.name);
  }
}

// Nobody judges any more what waited there. The sweep drops the names that no entry has left.
void VerdictCache::ReleaseScriptsOf(uint64_t workload_number) {
  absl::erase_if(scripts_in_use_, [workload_number](auto& used) {
    absl::erase_if(used.second, [workload_number](const CacheSlot& slot) {
      return slot.workload_number == workload_number;
    });
    return used.second.empty();
  });
}

std::optional<wire_script> VerdictCache::LostScript(uint64_t hash) const {
  wire_script script;
  return hash != 0 && bpf_map_lookup_elem(maps_("vd_lost_scripts"), &hash, &script) == 0
             ? std::optional(script)
             : std::nullopt;
}

void VerdictCache::ResumeLosses(const ToldLoss& told) {
  auto found = workloads_.find(told.workload_number);
  if (found != workloads_.end() && found->second.generation == told.generation &&
      told.cache < found->second.lost.size()) {
    found->second.lost[told.cache] = told.lost;
  }
}

void VerdictCache::SweepLosses(uint64_t number, InnerMaps& maps, std::vector<Event>& events) const {
  wire_workload workload;
  if (bpf_map_lookup_elem(maps_("vd_workloads"), &number, &workload) != 0) {
    return;
  }
  for (uint32_t cache = 0; cache < maps.lost.size(); ++cache) {
    const uint32_t lost = workload.lost[cache] - maps.lost[cache];
    if (lost != 0) {
      OverflowEvent event{number, maps.generation, cache, limit(cache), lost};
      EventHeader header;
      header.time = absl::Now();
      events.push_back({std::move(header), event});
      maps.lost[cache] = workload.lost[cache];
    }
  }
}

}  // namespace vedette
