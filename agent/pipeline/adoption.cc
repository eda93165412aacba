// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/adoption.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr const char* kRings[kRingCount] = {"vd_ring_code", "vd_ring_flow", "vd_ring_tap"};
constexpr size_t kDrainAtOnce = 1 << 20;

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<RingReader>>> OpenRings(const ProbeSet& probes) {
  std::vector<std::unique_ptr<RingReader>> rings;
  for (const char* name : kRings) {
    VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<RingReader> ring,
                             RingReader::Open(probes.MapFd(name), probes.MaxEntries(name)));
    rings.push_back(std::move(ring));
  }
  return rings;
}

absl::Status AdoptLeftovers(const AdoptionParts& parts) {
  uint32_t class_slots = 0;
  parts.bindings->ForEach([&](const CacheSlot& slot, const CacheBindings::Row& row) {
    parts.profiles->BindSlot(slot, row.workload, row.behaviour);
    class_slots = std::max(class_slots, slot.slot);
  });
  parts.cache->ResumeClassSlots(class_slots);
  VEDETTE_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<RingReader>> rings,
                           OpenRings(*parts.probes));
  std::vector<Event> events;
  std::vector<uint64_t> positions;
  const std::vector<uint64_t> committed = parts.bindings->ring_positions();
  for (size_t i = 0; i < rings.size(); ++i) {
    const auto& ring = rings[i];
    if (i < committed.size()) {
      ring->SkipTo(committed[i]);
    }
    ring->Read(kDrainAtOnce, [&](std::string_view record) {
      if (absl::Status decoded = parts.decoder->Decode(record, events); !decoded.ok()) {
        spdlog::warn("a record of the agent before was dropped: {}", Message(decoded));
      }
    });
    positions.push_back(ring->position());
  }
  const size_t records = events.size();
  parts.pipeline->Process(std::move(events));
  parts.bindings->SetRingPositions(std::move(positions));
  VEDETTE_RETURN_IF_ERROR(parts.pipeline->Commit());
  for (const auto& ring : rings) {
    ring->Acknowledge(ring->position());
  }
  parts.keeper->ForgetVanished();
  parts.pipeline->SweepCache(/*also_reported=*/true);
  VEDETTE_RETURN_IF_ERROR(parts.pipeline->Commit());
  spdlog::info(
      "took over from an agent that was killed: {} records, {} behaviours found in the cache",
      records, parts.keeper->counts().swept);
  return absl::OkStatus();
}

}  // namespace vedette
