// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/verdict_cache.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <numeric>
#include <set>
#include <utility>

#include "agent/base/status.h"
#include "agent/cache/cache_keys.h"
#include "agent/cache/maps.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/dns.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

constexpr uint32_t kZero = 0;
// Workload 0 stands for acts whose cgroup is not known.
constexpr uint64_t kFirstWorkload = 1;

UniqueFd MakeMap(bpf_map_type type, uint32_t key_bytes, uint32_t value_bytes, uint32_t entries) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
  return UniqueFd(bpf_map_create(type, nullptr, key_bytes, value_bytes, entries, &options));
}

UniqueFd MakeCache(uint32_t cache, uint32_t entries) {
  return MakeMap(BPF_MAP_TYPE_HASH, CacheKeyBytes(cache), sizeof(wire_verdict), entries);
}

// The inner map that an outer map holds at `key`.
UniqueFd InnerOf(int outer, const wire_cache_key& key) {
  uint32_t id = 0;
  if (bpf_map_lookup_elem(outer, &key, &id) != 0) {
    return UniqueFd();
  }
  return UniqueFd(bpf_map_get_fd_by_id(id));
}

// Puts inner maps into an outer one: many in one call, but for kernels before 5.16.
absl::Status PutInner(int outer, const std::vector<wire_cache_key>& keys,
                      const std::vector<int>& inner) {
  uint32_t count = static_cast<uint32_t>(keys.size());
  if (count == 0) {
    return absl::OkStatus();
  }
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  if (bpf_map_update_batch(outer, keys.data(), inner.data(), &count, &options) == 0) {
    return absl::OkStatus();
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    if (bpf_map_update_elem(outer, &keys[i], &inner[i], BPF_ANY) != 0) {
      return MapError(fmt::format("verdict cache of workload {}", keys[i].workload));
    }
  }
  return absl::OkStatus();
}

// The kernel waits for all readers after each change of an outer map, some 10 ms. Waits that begin
// together are one.
absl::Status Together(size_t count, const std::function<absl::Status(size_t)>& act) {
  std::vector<std::future<absl::Status>> others;
  for (size_t i = 1; i < count; ++i) {
    // Where there is no thread to be had, it is done below.
    others.push_back(std::async(std::launch::async | std::launch::deferred, act, i));
  }
  absl::Status status = act(0);
  for (std::future<absl::Status>& other : others) {
    status.Update(other.get());
  }
  return status;
}

void CloseAllTaps(int taps) {
  uint64_t number = 0;
  while (bpf_map_get_next_key(taps, nullptr, &number) == 0 &&
         bpf_map_delete_elem(taps, &number) == 0) {
  }
}

// What a workload that is gone still waited for.
void ForgetQueries(int pending, int shares, uint64_t workload_number) {
  wire_dns_share share;
  if (bpf_map_lookup_elem(shares, &workload_number, &share) != 0) {
    return;
  }
  for (const wire_dns_query_key& key : share.keys) {
    if (key.cookie != 0) {
      bpf_map_delete_elem(pending, &key);
    }
  }
  bpf_map_delete_elem(shares, &workload_number);
}

}  // namespace

VerdictCache::VerdictCache(MapFds maps, const VerdictCacheOptions& options)
    : maps_(std::move(maps)), options_(options) {}

absl::Status VerdictCache::Configure(const std::array<uint64_t, 2>& secret, uint64_t wake_bytes,
                                     bool tap_all) {
  wire_config config = {};
  if (bpf_map_lookup_elem(maps_("vd_config"), &kZero, &config) != 0) {
    return MapError("map vd_config");
  }
  if (config.hash_secret[0] == 0 && config.hash_secret[1] == 0) {
    config.hash_secret[0] = secret[0];
    config.hash_secret[1] = secret[1];
  }
  config.wake_bytes = wake_bytes;
  // Who watched the agent before does not watch this one.
  CloseAllTaps(maps_("vd_taps"));
  config.tap_some = 0;
  config.tap_all = tap_all_ = tap_all;
  config.agent_tgid = static_cast<uint32_t>(getpid());
  uint64_t next = 0;
  bpf_map_lookup_elem(maps_("vd_next_workload"), &kZero, &next);
  // Not written where a predecessor's programs may be taking numbers now.
  const bool first = next < kFirstWorkload;
  next = std::max(next, kFirstWorkload);
  if (bpf_map_update_elem(maps_("vd_config"), &kZero, &config, BPF_ANY) != 0 ||
      (first && bpf_map_update_elem(maps_("vd_next_workload"), &kZero, &next, BPF_ANY) != 0)) {
    return MapError("map vd_config");
  }
  VEDETTE_RETURN_IF_ERROR(AdoptWorkloads());
  VEDETTE_RETURN_IF_ERROR(AdoptCgroups());
  // Numbers below were given out by a predecessor; those that are in use have their maps by now.
  prepared_ = next;
  return PrepareWorkloads();
}

absl::Status VerdictCache::AdoptWorkloads() {
  uint32_t tgid = 0;
  // The table of processes was made anew, so no workload has any part of it. No program runs yet.
  const bool no_processes =
      bpf_map_get_next_key(maps_("vd_processes"), nullptr, &tgid) != 0 && errno == ENOENT;
  uint64_t number = 0;
  for (const uint64_t* at = nullptr; bpf_map_get_next_key(maps_("vd_workloads"), at, &number) == 0;
       at = &number) {
    wire_workload workload;
    if (bpf_map_lookup_elem(maps_("vd_workloads"), &number, &workload) != 0) {
      continue;
    }
    VEDETTE_ASSIGN_OR_RETURN(workloads_[number], AdoptWorkload(number, workload.generation));
    AdoptClasses(number);
    if (no_processes && std::exchange(workload.processes, 0) != 0 &&
        bpf_map_update_elem(maps_("vd_workloads"), &number, &workload, BPF_EXIST) != 0) {
      return MapError(fmt::format("map vd_workloads, workload {}", number));
    }
  }
  return absl::OkStatus();
}

// Cgroups that were made while no agent ran may have numbers beyond those prepared.
absl::Status VerdictCache::AdoptCgroups() {
  std::set<uint64_t> missing;
  uint64_t cgroup_id = 0;
  for (const uint64_t* at = nullptr;
       bpf_map_get_next_key(maps_("vd_instances"), at, &cgroup_id) == 0; at = &cgroup_id) {
    const uint64_t number = NumberOf(cgroup_id);
    if (number != 0) {
      NoteCgroup(cgroup_id, number);
      if (!workloads_.contains(number)) {
        missing.insert(number);
      }
    }
  }
  return missing.empty() ? absl::OkStatus() : MakeWorkloads({missing.begin(), missing.end()});
}

std::vector<uint64_t> VerdictCache::Cgroups() const {
  std::vector<uint64_t> ids;
  for (const auto& [id, number] : cgroups_) {
    ids.push_back(id);
  }
  return ids;
}

absl::StatusOr<VerdictCache::InnerMaps> VerdictCache::AdoptWorkload(uint64_t number,
                                                                    uint64_t generation) const {
  const wire_cache_key key = {number, generation};
  InnerMaps inner{generation, {}, InnerOf(maps_("vd_counts"), key)};
  bool is_whole = inner.counts.valid();
  for (uint32_t kind = 0; kind < kCacheKinds.size(); ++kind) {
    if (options_.entries[kind] == 0) {
      continue;
    }
    UniqueFd& cache = inner.caches[kind];
    const int outer = OuterFd(kind);
    cache = InnerOf(outer, key);
    if (!cache.valid() && kCacheKinds[kind].is_optional) {  // The predecessor had it off.
      cache = MakeCache(kind, options_.entries[kind]);
      VEDETTE_RETURN_IF_ERROR(PutInner(outer, {key}, {cache.get()}));
    }
    is_whole &= cache.valid();
  }
  if (!is_whole) {
    return MapError(fmt::format("verdict cache left by a predecessor, workload {}", number));
  }
  return inner;
}

// Of files there are those, too, that were dropped and whose counts were not read since.
uint32_t VerdictCache::AllEntries() const {
  return std::accumulate(options_.entries.begin(), options_.entries.end(),
                         options_.entries[kFileCache]);
}

std::vector<VerdictCache::OuterMap> VerdictCache::OuterMaps() const {
  std::vector<OuterMap> outer = {{maps_("vd_counts"), std::nullopt}};
  for (uint32_t kind = 0; kind < kCacheKinds.size(); ++kind) {
    if (options_.entries[kind] != 0) {
      outer.push_back({OuterFd(kind), kind});
    }
  }
  return outer;
}

// Fills the maps of new generations, then names them: a program sees all of one or none.
absl::Status VerdictCache::MakeWorkloads(const std::vector<uint64_t>& numbers) {
  const std::vector<OuterMap> outer = OuterMaps();
  std::vector<wire_cache_key> keys;
  std::vector<InnerMaps> made;
  std::vector<std::vector<int>> inner(outer.size());
  for (uint64_t number : numbers) {
    InnerMaps& maps = made.emplace_back();
    maps.generation = BootNs();
    keys.push_back({number, maps.generation});
    for (size_t i = 0; i < outer.size(); ++i) {
      UniqueFd& map = outer[i].cache ? maps.caches[*outer[i].cache] : maps.counts;
      map = outer[i].cache ? MakeCache(*outer[i].cache, options_.entries[*outer[i].cache])
                           : MakeMap(BPF_MAP_TYPE_PERCPU_HASH, sizeof(uint32_t), sizeof(wire_count),
                                     AllEntries());
      if (!map.valid()) {
        return MapError(fmt::format("verdict cache of workload {}", number));
      }
      inner[i].push_back(map.get());
    }
  }
  if (absl::Status put =
          Together(outer.size(), [&](size_t i) { return PutInner(outer[i].fd, keys, inner[i]); });
      !put.ok()) {
    // Nobody will name these generations again.
    for (const OuterMap& map : outer) {
      for (const wire_cache_key& key : keys) {
        bpf_map_delete_elem(map.fd, &key);
      }
    }
    return put;
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    wire_workload workload = {};
    workload.generation = made[i].generation;
    if (bpf_map_update_elem(maps_("vd_workloads"), &numbers[i], &workload, BPF_ANY) != 0) {
      return MapError(fmt::format("map vd_workloads, workload {}", numbers[i]));
    }
    workloads_[numbers[i]] = std::move(made[i]);
  }
  return absl::OkStatus();
}

absl::Status VerdictCache::PrepareWorkloads() {
  uint64_t next = 0;
  if (bpf_map_lookup_elem(maps_("vd_next_workload"), &kZero, &next) != 0) {
    return MapError("map vd_next_workload");
  }
  prepared_ = std::max(prepared_, kFirstWorkload);
  if (prepared_ >= next + options_.spare_workloads) {
    return absl::OkStatus();
  }
  const uint64_t end = next + 2 * options_.spare_workloads;
  std::vector<uint64_t> missing;
  if (!workloads_.contains(0)) {
    missing.push_back(0);
  }
  for (uint64_t number = prepared_; number < end; ++number) {
    if (!workloads_.contains(number)) {
      missing.push_back(number);
    }
  }
  VEDETTE_RETURN_IF_ERROR(MakeWorkloads(missing));
  prepared_ = end;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> VerdictCache::BindCgroup(const Cgroup& cgroup) {
  uint64_t number = cgroup.workload_number;
  const auto used = cgroups_of_.find(number);
  if (used != cgroups_of_.end() && used->second >= WIRE_INSTANCE_SHARE &&
      !cgroups_.contains(cgroup.id)) {
    return absl::ResourceExhaustedError(fmt::format(
        "workload {} has {} cgroups, which is its share of the table; more of them are not watched",
        number, used->second));
  }
  if (number == 0) {
    VEDETTE_ASSIGN_OR_RETURN(number, TakeNumber());
  }
  if (!workloads_.contains(number)) {
    VEDETTE_RETURN_IF_ERROR(MakeWorkloads({number}));
  }
  wire_instance instance = {};
  instance.workload = number;
  instance.flags = (cgroup.inherit_below ? uint32_t{WIRE_INSTANCE_INHERIT} : 0u) |
                   (cgroup.launcher ? uint32_t{WIRE_INSTANCE_LAUNCHER} : 0u) |
                   (cgroup.unplaced ? uint32_t{WIRE_INSTANCE_UNPLACED} : 0u);
  Discharge(cgroup.id);
  if (bpf_map_update_elem(maps_("vd_instances"), &cgroup.id, &instance, BPF_ANY) != 0) {
    return MapError(fmt::format("map vd_instances, cgroup {}", cgroup.id));
  }
  NoteCgroup(cgroup.id, number);
  return number;
}

void VerdictCache::Discharge(uint64_t cgroup_id) {
  wire_instance instance = {};
  if (bpf_map_lookup_elem(maps_("vd_instances"), &cgroup_id, &instance) != 0 ||
      !(instance.flags & WIRE_INSTANCE_CHARGED)) {
    return;
  }
  uint32_t gone = 0;
  bpf_map_lookup_elem(maps_("vd_forgotten"), &instance.workload, &gone);
  ++gone;
  bpf_map_update_elem(maps_("vd_forgotten"), &instance.workload, &gone, BPF_ANY);
}

void VerdictCache::NoteCgroup(uint64_t cgroup_id, uint64_t workload_number) {
  const auto [it, fresh] = cgroups_.try_emplace(cgroup_id, workload_number);
  if (!fresh) {
    if (--cgroups_of_[it->second] == 0) {
      cgroups_of_.erase(it->second);
    }
    it->second = workload_number;
  }
  ++cgroups_of_[workload_number];
}

uint64_t VerdictCache::NumberOf(uint64_t cgroup_id) const {
  wire_instance instance = {};
  return bpf_map_lookup_elem(maps_("vd_instances"), &cgroup_id, &instance) == 0 ? instance.workload
                                                                                : 0;
}

uint64_t VerdictCache::ForgetCgroup(uint64_t cgroup_id) {
  auto it = cgroups_.find(cgroup_id);
  if (it == cgroups_.end()) {
    return 0;
  }
  const uint64_t number = it->second;
  cgroups_.erase(it);
  if (--cgroups_of_[number] == 0) {
    cgroups_of_.erase(number);
  }
  Discharge(cgroup_id);
  bpf_map_delete_elem(maps_("vd_instances"), &cgroup_id);
  return number;
}

bool VerdictCache::DropUnused(uint64_t workload_number) {
  auto inner = workloads_.find(workload_number);
  if (workload_number == 0 || inner == workloads_.end() || cgroups_of_.contains(workload_number)) {
    return false;
  }
  const wire_cache_key key = {workload_number, inner->second.generation};
  bpf_map_delete_elem(maps_("vd_workloads"), &workload_number);
  bpf_map_delete_elem(maps_("vd_forgotten"), &workload_number);
  bpf_map_delete_elem(maps_("vd_capabilities"), &workload_number);
  const std::vector<OuterMap> outer = OuterMaps();
  Together(outer.size(), [&](size_t i) {
    bpf_map_delete_elem(outer[i].fd, &key);
    return absl::OkStatus();
  }).IgnoreError();
  ForgetQueries(maps_("vd_dns_pending"), maps_("vd_dns_shares"), workload_number);
  workloads_.erase(inner);
  classes_.erase(workload_number);
  planned_classes_.erase(workload_number);
  ReleaseScriptsOf(workload_number);
  return true;
}

// In one step, as the kernel's programs do: the same number is never given out twice.
absl::StatusOr<uint64_t> VerdictCache::TakeNumber() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* mapped =
      mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, maps_("vd_next_workload"), 0);
  if (mapped == MAP_FAILED) {
    return MapError("map vd_next_workload");
  }
  const uint64_t number = std::atomic_ref(*static_cast<uint64_t*>(mapped)).fetch_add(1);
  munmap(mapped, page);
  return number;
}

int VerdictCache::InnerFd(const CacheSlot& slot) const {
  auto it = workloads_.find(slot.workload_number);
  return it == workloads_.end() || it->second.generation != slot.generation ||
                 slot.cache >= kCacheKinds.size()
             ? -1
             : it->second.caches[slot.cache].get();
}

absl::Status VerdictCache::ChangeVerdict(const CacheSlot& slot, std::string_view key,
                                         const std::function<void(wire_verdict&)>& change) {
  const int fd = InnerFd(slot);
  if (fd < 0 || slot.slot == 0) {
    return absl::OkStatus();  // The generation is gone, or the behaviour has no entry.
  }
  wire_verdict verdict;
  if (key.size() != CacheKeyBytes(slot.cache) ||
      bpf_map_lookup_elem(fd, key.data(), &verdict) != 0) {
    return absl::NotFoundError(
        fmt::format("no entry for slot {} of workload {}", slot.slot, slot.workload_number));
  }
  change(verdict);
  return bpf_map_update_elem(fd, key.data(), &verdict, BPF_EXIST) == 0
             ? absl::OkStatus()
             : MapError("marking a behaviour as known");
}

absl::Status VerdictCache::MarkKnown(const CacheSlot& slot, std::string_view key) {
  ReleaseScript(slot, key);
  return ChangeVerdict(slot, key, [](wire_verdict& verdict) {
    verdict.novelty = WIRE_NOVELTY_KNOWN;
    verdict.flags = 0;
  });
}

uint32_t VerdictCache::limit(uint32_t cache) const {
  return cache < options_.entries.size() ? options_.entries[cache] : 0;
}

int VerdictCache::OuterFd(uint32_t cache) const { return maps_(kCacheKinds[cache].outer_map); }

}  // namespace vedette
