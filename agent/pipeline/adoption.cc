// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/adoption.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "agent/base/status.h"

namespace vedette {
namespace {

// The last one is there while the probe of files is.
constexpr const char* kRings[] = {"vd_ring_code", "vd_ring_flow", "vd_ring_tap", "vd_ring_file"};
constexpr size_t kDrainAtOnce = 1 << 20;
constexpr absl::Duration kSettlePatience = absl::Seconds(2);

}  // namespace

absl::StatusOr<Rings> OpenRings(const ProbeSet& probes) {
  Rings rings;
  for (const char* name : kRings) {
    if (probes.MapFd(name) < 0 && rings.size() >= kRingCount) {
      continue;
    }
    VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<RingReader> ring,
                             RingReader::Open(probes.MapFd(name), probes.MaxEntries(name)));
    rings.push_back(std::move(ring));
  }
  return rings;
}

RingLeftovers ReadLeftovers(const Rings& rings, const std::vector<uint64_t>& committed,
                            const DecodeRecord& decode) {
  RingLeftovers left;
  absl::Status first;
  for (size_t i = 0; i < rings.size(); ++i) {
    const auto& ring = rings[i];
    if (i < committed.size()) {
      ring->SkipTo(committed[i]);
    }
    ring->Read(kDrainAtOnce, [&](std::string_view record) {
      ++left.counts.received;
      if (absl::Status decoded = decode(record, left.events); !decoded.ok()) {
        ++left.counts.undecodable;
        first.Update(decoded);
      }
    });
    left.positions.push_back(ring->position());
  }
  if (left.counts.undecodable > 0) {
    spdlog::warn("{} of {} records of the agent before were dropped; the first: {}",
                 left.counts.undecodable, left.counts.received, Message(first));
  }
  return left;
}

namespace {

absl::Status JudgeWhatTheRingsHold(const AdoptionParts& parts, const Rings& rings) {
  RingLeftovers left = ReadLeftovers(rings, parts.bindings->ring_positions(),
                                     [&](std::string_view record, std::vector<Event>& events) {
                                       return parts.decoder->Decode(record, events);
                                     });
  parts.pipeline->CountLeftovers(left.counts);
  parts.pipeline->Process(std::move(left.events), Entrance::kLeftovers);
  parts.pipeline->Settle(kSettlePatience);  // Or the sweep finds what was not judged.
  parts.bindings->SetRingPositions(std::move(left.positions));
  VEDETTE_RETURN_IF_ERROR(parts.pipeline->Commit());
  for (const auto& ring : rings) {
    ring->Acknowledge(ring->position());
  }
  return absl::OkStatus();
}

}  // namespace

void DropWhatIsOnItsWay(const Decoder& decoder, const Rings& rings, std::vector<Event>& swept) {
  absl::flat_hash_set<CacheSlot> coming;
  for (const auto& ring : rings) {
    ring->Read(kDrainAtOnce, [&](std::string_view record) {
      // Slot 0 is none: what has it is about no behaviour.
      if (absl::StatusOr<EventHeader> header = decoder.Header(record);
          header.ok() && header->slot.slot != 0) {
        coming.insert(header->slot);
      }
    });
  }
  std::erase_if(swept, [&](const Event& event) { return coming.contains(event.header.slot); });
}

absl::Status AdoptLeftovers(const AdoptionParts& parts) {
  uint32_t class_slots = 0;
  std::vector<CacheSlot> lost;
  parts.bindings->ForEach([&](const CacheSlot& slot, const CacheBindings::Row& row) {
    if (!parts.profiles->BindSlot(slot, row.workload, row.behaviour)) {
      lost.push_back(slot);
    }
    class_slots = std::max(class_slots, slot.slot);
  });
  for (const CacheSlot& slot : lost) {
    parts.bindings->Unjudge(slot);
  }
  parts.cache->ResumeClassSlots(class_slots);
  for (const VerdictCache::ToldLoss& told : parts.bindings->told_losses()) {
    parts.cache->ResumeLosses(told);
  }
  parts.keeper->RestorePrograms();
  VEDETTE_ASSIGN_OR_RETURN(const Rings rings, OpenRings(*parts.probes));
  VEDETTE_RETURN_IF_ERROR(JudgeWhatTheRingsHold(parts, rings));
  parts.keeper->ForgetVanished();
  std::vector<Event> swept = parts.keeper->SweepAdopted();
  std::vector<Event> forgotten = parts.keeper->TakeForgotten();
  std::move(forgotten.begin(), forgotten.end(), std::back_inserter(swept));
  DropWhatIsOnItsWay(*parts.decoder, rings, swept);
  parts.pipeline->Process(std::move(swept), Entrance::kSweep);
  parts.pipeline->Settle(kSettlePatience);
  VEDETTE_RETURN_IF_ERROR(parts.pipeline->Commit());
  parts.keeper->ForgetDropped();
  const auto& events = parts.pipeline->counts().events;
  spdlog::info(
      "took over from an agent that was killed: {} records, {} behaviours found in the cache",
      events[static_cast<size_t>(Entrance::kLeftovers)],
      events[static_cast<size_t>(Entrance::kSweep)]);
  return absl::OkStatus();
}

}  // namespace vedette
