// SPDX-License-Identifier: Apache-2.0
// Entries for classes: the networks around peers, the files of a directory with one shape of name.
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <optional>

#include "agent/base/status.h"
#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

std::optional<wire_flow_key> KeyOf(std::string_view bytes) {
  wire_flow_key key;
  if (bytes.size() != sizeof(key)) {
    return std::nullopt;
  }
  memcpy(&key, bytes.data(), sizeof(key));
  return key;
}

std::optional<wire_flow_key> ClassOf(std::string_view bytes) {
  std::optional<wire_flow_key> key = KeyOf(bytes);
  if (key) {
    wire_make_class(&*key);
  }
  return key;
}

std::string BytesOf(const wire_flow_key& key) {
  return std::string(reinterpret_cast<const char*>(&key), sizeof(key));
}

bool IsOfFlows(uint32_t cache) {
  return cache < kCacheKinds.size() && kCacheKinds[cache].key == CacheKeyType::kFlow;
}

// The bytes of the class's key; empty: there is none. Only programs make those of files.
std::string ClassKey(const CacheSlot& slot, std::string_view bytes) {
  if (IsOfFlows(slot.cache)) {
    const std::optional<wire_flow_key> key = ClassOf(bytes);
    return key ? BytesOf(*key) : "";
  }
  wire_access_key key;
  if (slot.cache != WIRE_CACHE_FILE || bytes.size() != sizeof(key)) {
    return "";
  }
  memcpy(&key, bytes.data(), sizeof(key));
  return key.grain != WIRE_GRAIN_OBJECT ? std::string(bytes) : "";
}

// Names are those of peers that are connected to; who connects to us is not judged by one.
bool Holds(const wire_flow_key& class_key, const IpAddress& address) {
  wire_flow_key around = {};
  memcpy(around.address, address.bytes.data(), sizeof(around.address));
  wire_make_class(&around);
  return class_key.verb == WIRE_VERB_CONNECT && class_key.prefix == around.prefix &&
         memcmp(class_key.address, around.address, sizeof(around.address)) == 0;
}

}  // namespace

void VerdictCache::ResumeClassSlots(uint32_t slot) {
  class_slots_ = std::max(class_slots_, (slot & ~WIRE_SLOT_OF_AGENT) >> WIRE_SLOT_CACHE_BITS);
}

void VerdictCache::AdoptNetworks(uint64_t workload_number, int fd) {
  wire_flow_key key;
  for (const wire_flow_key* at = nullptr; bpf_map_get_next_key(fd, at, &key) == 0; at = &key) {
    wire_flow_key itself = key;
    wire_make_class(&itself);
    wire_verdict verdict = {};
    if (itself.prefix == key.prefix && bpf_map_lookup_elem(fd, &key, &verdict) == 0) {
      classes_[workload_number].insert(BytesOf(key));
      ResumeClassSlots(verdict.slot);  // Also where the store does not know of it any more.
    }
  }
}

void VerdictCache::AdoptClasses(uint64_t workload_number) {
  for (uint32_t kind = 0; kind < kCacheKinds.size(); ++kind) {
    if (IsOfFlows(kind)) {
      AdoptNetworks(workload_number, workloads_[workload_number].caches[kind].get());
    }
  }
  // A class of files may have been dropped, and its count be there still.
  const int counts = workloads_[workload_number].counts.get();
  uint32_t slot = 0;
  for (const uint32_t* at = nullptr; bpf_map_get_next_key(counts, at, &slot) == 0; at = &slot) {
    if (slot & WIRE_SLOT_OF_AGENT) {
      ResumeClassSlots(slot);
    }
  }
}

absl::StatusOr<CacheSlot> VerdictCache::ClassSlot(const CacheSlot& slot, std::string_view key) {
  const int fd = InnerFd(slot);
  const std::string class_key = ClassKey(slot, key);
  if (fd < 0 || class_key.empty()) {
    return absl::NotFoundError("the behaviour has no class");
  }
  wire_verdict verdict = {};
  CacheSlot result = slot;
  if (bpf_map_lookup_elem(fd, class_key.data(), &verdict) == 0) {
    result.slot = verdict.slot;
    return result;
  }
  auto [planned, fresh] =
      planned_classes_[slot.workload_number].try_emplace(class_key, uint32_t{0});
  if (fresh) {
    planned->second = WIRE_SLOT_OF_AGENT | wire_make_slot(++class_slots_, slot.cache);
  }
  result.slot = planned->second;
  return result;
}

absl::Status VerdictCache::MarkClassKnown(const CacheSlot& class_slot, std::string_view key) {
  const std::string wire = ClassKey(class_slot, key);
  if (wire.empty()) {
    return absl::InvalidArgumentError("a class of what has none");
  }
  const int fd = InnerFd(class_slot);
  if (fd < 0) {
    return absl::OkStatus();  // The generation is gone, and what was planned for it.
  }
  if (auto planned = planned_classes_.find(class_slot.workload_number);
      planned != planned_classes_.end()) {
    planned->second.erase(wire);
  }
  wire_verdict verdict = {};
  verdict.novelty = WIRE_NOVELTY_KNOWN;
  verdict.decision = WIRE_DECISION_ALLOW;
  verdict.slot = class_slot.slot;
  verdict.first_ns = BootNs();
  const bool made = bpf_map_update_elem(fd, wire.data(), &verdict, BPF_NOEXIST) == 0;
  if (made || errno == EEXIST) {
    if (IsOfFlows(class_slot.cache)) {
      classes_[class_slot.workload_number].insert(wire);
    }
    return absl::OkStatus();
  }
  // A full cache does without classes; the kernel tells of the overflow.
  return errno == E2BIG ? absl::OkStatus() : MapError("the entry of a class");
}

bool VerdictCache::ClassHolds(std::string_view key, const IpAddress& address) {
  const std::optional<wire_flow_key> wire = ClassOf(key);
  return wire && Holds(*wire, address);
}

absl::Status VerdictCache::ForgetClasses(uint64_t workload_number, const IpAddress& address) {
  auto workload = workloads_.find(workload_number);
  auto classes = classes_.find(workload_number);
  if (workload == workloads_.end() || classes == classes_.end()) {
    return absl::OkStatus();
  }
  const int fd = workload->second.caches[WIRE_CACHE_FLOW].get();
  absl::Status status;
  for (auto it = classes->second.begin(); it != classes->second.end();) {
    const std::optional<wire_flow_key> key = KeyOf(*it);
    wire_verdict verdict = {};
    if (!key || !Holds(*key, address)) {
      ++it;
      continue;
    }
    if (bpf_map_lookup_elem(fd, &*key, &verdict) == 0) {
      if (bpf_map_delete_elem(fd, &*key) != 0 && errno != ENOENT) {
        status.Update(MapError("taking back a network's entry"));
        ++it;
        continue;
      }
      // Open sockets go on counting there; should the class come back, it keeps its counts.
      planned_classes_[workload_number][*it] = verdict.slot;
    }
    classes->second.erase(it++);
  }
  return status;
}

}  // namespace vedette
