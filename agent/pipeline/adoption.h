// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/collect/ring_reader.h"
#include "agent/pipeline/cache_bindings.h"
#include "agent/pipeline/cache_keeper.h"
#include "agent/pipeline/pipeline.h"
#include "agent/probes/decode.h"
#include "agent/probes/probe_set.h"

namespace vedette {

inline constexpr size_t kRingCount = 3;

// The rings of all lanes, in the order in which their positions are kept.
using Rings = std::vector<std::unique_ptr<RingReader>>;
absl::StatusOr<Rings> OpenRings(const ProbeSet& probes);

struct AdoptionParts {
  const ProbeSet* probes = nullptr;
  VerdictCache* cache = nullptr;
  Profiles* profiles = nullptr;
  CacheBindings* bindings = nullptr;
  CacheKeeper* keeper = nullptr;
  Decoder* decoder = nullptr;
  Pipeline* pipeline = nullptr;
};

// Judges what an agent that was killed left in its rings and maps, before anything new. Control
// thread, before the pipeline's own thread runs.
absl::Status AdoptLeftovers(const AdoptionParts& parts);

// What the rings hold beyond the positions that are committed already. Acknowledges nothing.
struct RingLeftovers {
  std::vector<Event> events;
  std::vector<uint64_t> positions;  // Up to where it was read, by ring.
  LeftoverCounts counts;
};
using DecodeRecord = std::function<absl::Status(std::string_view, std::vector<Event>&)>;
RingLeftovers ReadLeftovers(const Rings& rings, const std::vector<uint64_t>& committed,
                            const DecodeRecord& decode);

// Takes out of `swept`, which was read from the cache before, what also has its record in the rings
// by now: programs go on reporting, and the record says more than the cache does. Reads, and
// acknowledges nothing.
void DropWhatIsOnItsWay(const Decoder& decoder, const Rings& rings, std::vector<Event>& swept);

}  // namespace vedette
