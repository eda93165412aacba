// SPDX-License-Identifier: Apache-2.0
// What the verdict cache's maps have counted.
#include <bpf/bpf.h>
#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

constexpr std::string_view kErrorNames[WIRE_ERRORS] = {
    "ring_full",          "no_process",          "process_table_full",
    "no_instance",        "instance_table_full", "no_workload",
    "no_cache",           "cache_full",          "cache_insert",
    "count_insert",       "socket_storage",      "unreadable_memory",
    "no_scratch",         "no_socket_owner",     "novelty_lost",
    "process_share_used", "script_table_full",   "connection_table_full",
    "dns_query",          "instance_share_used", "birth_not_kept",
    "unread_datagram",    "no_program"};

// Read at once: with all CPUs a machine may have, some hundred KiB.
constexpr uint32_t kCountsAtOnce = 128;

}  // namespace

absl::Status VerdictCache::ReadCounts(
    const std::function<void(const CacheSlot&, const BehaviourCount&)>& visit) const {
  absl::Status status;
  for (const auto& [number, maps] : workloads_) {
    status.Update(ReadCountsOf(number, maps, visit));
  }
  return status;
}

absl::Status VerdictCache::ReadCountsOf(
    uint64_t number, const InnerMaps& maps,
    const std::function<void(const CacheSlot&, const BehaviourCount&)>& visit) const {
  const auto cpus = static_cast<size_t>(options_.cpus);
  uint32_t most = kCountsAtOnce;
  std::vector<uint32_t> slots(most);
  std::vector<wire_count> values(most * cpus);
  // A batch starts at a bucket and may end before the map does; the kernel says where to go on.
  uint32_t position = 0;
  for (void* from = nullptr;;) {
    uint32_t count = most;
    const int error = bpf_map_lookup_batch(maps.counts.get(), from, &position, slots.data(),
                                           values.data(), &count, nullptr);
    if (error != 0 && errno == ENOSPC) {  // A bucket holds more.
      most *= 2;
      slots.resize(most);
      values.resize(most * cpus);
      continue;
    }
    const bool is_end = error != 0;
    if (is_end && errno != ENOENT) {
      return MapError(fmt::format("reading the counts of workload {}", number));
    }
    for (uint32_t i = 0; i < count; ++i) {
      BehaviourCount total;
      // The kernel side does not count the act that made its entry.
      total.acts = slots[i] & WIRE_SLOT_OF_AGENT ? 0 : 1;
      for (size_t cpu = 0; cpu < cpus; ++cpu) {
        const wire_count& c = values[i * cpus + cpu];
        total.acts += c.acts;
        total.failures += c.failures;
        total.sent_bytes += c.sent_bytes;
        total.received_bytes += c.received_bytes;
        total.retransmits += c.retransmits;
        total.last_ns = std::max<uint64_t>(total.last_ns, c.last_ns);
        for (size_t b = 0; b < total.latency.size(); ++b) {
          total.latency[b] += c.latency[b];
        }
      }
      visit({number, maps.generation, slots[i] & WIRE_SLOT_CACHE_MASK, slots[i]}, total);
    }
    if (is_end) {
      return absl::OkStatus();
    }
    from = &position;
  }
}

uint64_t VerdictCache::Losses() const {
  uint64_t losses = 0;
  std::vector<uint64_t> values(static_cast<size_t>(options_.cpus));
  for (const uint32_t reason :
       {WIRE_ERROR_RING_FULL, WIRE_ERROR_NOVELTY_LOST, WIRE_ERROR_CACHE_INSERT}) {
    if (bpf_map_lookup_elem(maps_("vd_errors"), &reason, values.data()) == 0) {
      losses = std::accumulate(values.begin(), values.end(), losses);
    }
  }
  return losses;
}

KernelErrors VerdictCache::ReadErrors() const {
  KernelErrors errors;
  std::vector<uint64_t> values(static_cast<size_t>(options_.cpus));
  for (uint32_t reason = 0; reason < WIRE_ERRORS; ++reason) {
    uint64_t total = 0;
    if (bpf_map_lookup_elem(maps_("vd_errors"), &reason, values.data()) == 0) {
      for (uint64_t value : values) {
        total += value;
      }
    }
    if (!kErrorNames[reason].empty()) {
      errors.by_reason.emplace_back(kErrorNames[reason], total);
    }
  }
  return errors;
}

uint64_t VerdictCache::TakenOver() const {
  uint64_t total = 0;
  const uint32_t zero = 0;
  std::vector<wire_tcp_pair> values(static_cast<size_t>(options_.cpus));
  if (bpf_map_lookup_elem(maps_("vd_tcp_pair"), &zero, values.data()) == 0) {
    for (const wire_tcp_pair& pair : values) {
      total += pair.taken_over;
    }
  }
  return total;
}

std::vector<LaneCount> VerdictCache::ReadLanes() const {
  std::vector<LaneCount> lanes;
  std::vector<wire_lane_count> values(static_cast<size_t>(options_.cpus));
  for (uint32_t lane = 0; lane < WIRE_LANES; ++lane) {
    if (bpf_map_lookup_elem(maps_("vd_lanes"), &lane, values.data()) != 0) {
      continue;
    }
    for (uint32_t cpu = 0; cpu < values.size(); ++cpu) {
      lanes.push_back({cpu, lane, values[cpu].sequence, values[cpu].sent, values[cpu].dropped});
    }
  }
  return lanes;
}

std::vector<CacheFill> VerdictCache::ReadFill() const {
  std::vector<CacheFill> fills;
  for (uint32_t kind = 0; kind < kCacheKinds.size(); ++kind) {
    if (options_.entries[kind] != 0) {
      fills.push_back({kind, 0, 0, 0});
    }
  }
  for (const auto& [number, maps] : workloads_) {
    wire_workload workload = {};
    bpf_map_lookup_elem(maps_("vd_workloads"), &number, &workload);
    for (CacheFill& fill : fills) {
      const int fd = InnerFd({number, maps.generation, fill.cache, 0});
      uint64_t entries = 0;
      char key[std::max({sizeof(wire_code_key), sizeof(wire_flow_key), sizeof(wire_access_key)})];
      for (const char* at = nullptr; bpf_map_get_next_key(fd, at, key) == 0; at = key) {
        ++entries;
      }
      fill.entries += entries;
      fill.workloads += entries > 0;
      fill.full += workload.overflowed[fill.cache] != 0;
    }
  }
  return fills;
}

std::vector<FullWorkload> VerdictCache::FullWorkloads() const {
  std::vector<FullWorkload> all;
  for (const auto& [number, maps] : workloads_) {
    wire_workload workload;
    if (bpf_map_lookup_elem(maps_("vd_workloads"), &number, &workload) == 0 &&
        workload.not_cached > 0) {
      FullWorkload& full = all.emplace_back(FullWorkload{number, {}, workload.not_cached});
      for (size_t kind = 0; kind < full.full.size(); ++kind) {
        full.full[kind] = workload.overflowed[kind] != 0;
      }
    }
  }
  return all;
}

}  // namespace vedette
