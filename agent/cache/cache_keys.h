// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "agent/event/cache_kind.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

namespace vedette {

static_assert(kCacheKinds.size() == WIRE_CACHES && WIRE_CACHES <= WIRE_SLOT_CACHE_MASK + 1);
static_assert(kCodeCache == WIRE_CACHE_CODE && kCacheKinds[kCodeCache].name == "code");
static_assert(kFlowCache == WIRE_CACHE_FLOW && kCacheKinds[kFlowCache].name == "flow");
static_assert(kFileCache == WIRE_CACHE_FILE && kCacheKinds[kFileCache].name == "file");
static_assert(kInboundCache == WIRE_CACHE_INBOUND && kCacheKinds[kInboundCache].name == "inbound");

// Calls `act` with a key of the type that the entries of a cache have.
template <typename Act>
auto WithKeyOf(uint32_t cache, const Act& act) {
  switch (kCacheKinds[cache].key) {
    case CacheKeyType::kCode:
      return act(wire_code_key());
    case CacheKeyType::kFlow:
      return act(wire_flow_key());
    case CacheKeyType::kAccess:
      break;
  }
  return act(wire_access_key());
}

inline uint32_t CacheKeyBytes(uint32_t cache) {
  return WithKeyOf(cache, [](const auto& key) { return static_cast<uint32_t>(sizeof(key)); });
}

}  // namespace vedette
