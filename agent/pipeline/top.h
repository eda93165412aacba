// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "agent/cache/verdict_cache.h"
#include "agent/pipeline/pipeline.h"

namespace vedette {

// What services do and with whom they talk, from the profiles; docs/api.md. Pipeline thread.
nlohmann::json TopJson(const Pipeline& pipeline, absl::Time started);

// The service map; docs/api.md. Pipeline thread.
nlohmann::json PeersJson(const Pipeline& pipeline, absl::Time started);

// How full the verdict cache is; docs/api.md. Pipeline thread.
nlohmann::json CacheJson(const VerdictCache& cache);

// Workloads whose cache is full: what they do newly is counted, and judged by nobody. Name → the
// caches' names and the number of acts; docs/api.md. Pipeline thread.
nlohmann::json FullJson(const Pipeline& pipeline);

}  // namespace vedette
