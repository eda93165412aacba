// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace vedette {

// A workload's verdict cache is full: nothing more of this workload is inserted at this generation.
// Or, with `lost`, the kernel refused what it should have held.
struct OverflowEvent {
  uint64_t workload_number = 0;
  uint64_t generation = 0;
  uint32_t cache = 0;  // As in CacheSlot.
  uint32_t limit = 0;  // Entries the cache holds.
  // Not 0: the cache need not be full, but so many news could be neither told nor kept for a sweep.
  uint64_t lost = 0;
};

}  // namespace vedette
