// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vedette {

// What the entries of a verdict cache are found by: one type of key for each in bpf/wire/cache.h.
enum class CacheKeyType { kCode, kFlow, kAccess };

// One of the verdict caches that each workload has.
struct CacheKind {
  std::string_view name;        // In `doctor` and in events.
  std::string_view acts;        // In findings, as in "its verdict cache for network acts".
  std::string_view outer_map;   // Its name in the kernel.
  std::string_view config_key;  // How many entries it has for each workload, and that by default.
  uint32_t entries;
  CacheKeyType key;
  bool is_optional;  // Only there while a probe of its own is.
};

// By the number that a CacheSlot has; the same as in bpf/wire/kinds.h.
inline constexpr std::array<CacheKind, 4> kCacheKinds = {{
    {"code", "code", "vd_code_cache", "cache.exec_entries", 512, CacheKeyType::kCode, false},
    {"flow", "network", "vd_flow_cache", "cache.flow_entries", 1024, CacheKeyType::kFlow, false},
    {"file", "file", "vd_file_cache", "cache.file_entries", 1024, CacheKeyType::kAccess, true},
    {"inbound", "inbound network", "vd_inbound_cache", "cache.inbound_entries", 512,
     CacheKeyType::kFlow, false},
}};
inline constexpr uint32_t kCodeCache = 0;
inline constexpr uint32_t kFlowCache = 1;
inline constexpr uint32_t kFileCache = 2;
inline constexpr uint32_t kInboundCache = 3;

// How many entries each kind has for one workload; 0: it is not there.
using CacheEntries = std::array<uint32_t, kCacheKinds.size()>;

constexpr CacheEntries DefaultCacheEntries(bool with_optional) {
  CacheEntries entries = {};
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i] = kCacheKinds[i].is_optional && !with_optional ? 0 : kCacheKinds[i].entries;
  }
  return entries;
}

// A number that no kind has stands in records of another build at most.
constexpr std::string_view CacheName(uint32_t cache) {
  return cache < kCacheKinds.size() ? kCacheKinds[cache].name : "unknown";
}

}  // namespace vedette
