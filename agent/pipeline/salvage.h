// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/sqlite.h"

namespace vedette {

struct SalvageCounts {
  uint64_t workloads = 0;
  uint64_t behaviours = 0;
  uint64_t findings = 0;
  uint64_t waiting = 0;       // Records that wait for sinks.
  uint64_t waiting_lost = 0;  // By the accounts of the sinks, summed.
};

// Copies what can be read of the damaged database at `path` into a new one, row by row, past what
// cannot. What waited for a sink and is lost is counted in the sink's account. At the start; owns
// nothing. Never fails: what does not work is not carried over.
SalvageCounts Salvage(const std::string& path, SqliteDatabase& fresh);

std::string SalvageText(const SalvageCounts& counts);

}  // namespace vedette
