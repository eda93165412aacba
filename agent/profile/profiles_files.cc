// SPDX-License-Identifier: Apache-2.0
// Names of files that are one behaviour.
#include <algorithm>
#include <utility>

#include "agent/profile/behaviour_of.h"
#include "agent/profile/profiles.h"
#include "agent/profile/sensitive.h"

namespace vedette {
namespace {

// Two could be a coincidence, or planted.
constexpr size_t kNamesToGeneralise = 3;

}  // namespace

Profiles::Together Profiles::TakeTogether(Profile* profile, ScoredEvent& scored) {
  std::optional<Behaviour> many = BehaviourOfMany(scored.enriched, scored.behaviour);
  if (!many ||
      IsSensitive(std::get<FileEvent>(scored.enriched.event.body).path, options_.sensitive)) {
    return {};
  }
  if (profile->FindLearned(*many).entry != nullptr) {
    scored.behaviour = *std::move(many);
    return {};
  }
  auto& names_of = profile->names_of_shape;
  const bool is_full = names_of.size() >= options_.max_behaviours && !names_of.contains(*many);
  if (scored.state != ProfileState::kLearning || is_full) {
    return {};
  }
  auto& names = names_of[*many];
  names.insert(scored.behaviour.object);
  if (names.size() < kNamesToGeneralise) {
    return {};
  }
  Together together;
  for (const std::string& name : names) {
    Behaviour one = scored.behaviour;
    one.object = name;
    if (ProfileEntry* entry = profile->FindLearned(one).same; entry != nullptr) {
      for (const auto& [slot, bound] : slots_) {
        if (bound == entry) {
          together.slots.push_back(slot);
        }
      }
      std::erase(dirty_entries_, entry);
      folded_.push_back(entry->row);
      together.entries.push_back(profile->Take(entry));
    }
  }
  names_of.erase(*many);
  scored.behaviour = *std::move(many);
  return together;
}

void Profiles::PutTogether(ProfileEntry* into, Together together) {
  BehaviourRecord& all = into->record;
  for (const auto& entry : together.entries) {
    BehaviourRecord& one = entry->record;
    all.count += one.count;
    all.failures += one.failures;
    all.sent_bytes += one.sent_bytes;
    all.received_bytes += one.received_bytes;
    all.first_seen = std::min(all.first_seen, one.first_seen);
    all.last_seen = std::max(all.last_seen, one.last_seen);
    all.sources.merge(one.sources);
    all.sources_cut |= one.sources_cut;
  }
  while (all.sources.size() > kMaxSources) {
    all.sources.erase(std::prev(all.sources.end()));
    all.sources_cut = true;
  }
  for (const CacheSlot& slot : together.slots) {
    slots_[slot] = into;
  }
}

// Of an entry of the kernel's cache that was bound while its name stood for itself.
ProfileEntry* Profiles::FindTogether(const Profile& profile, const Behaviour& one) {
  for (const auto& entry : profile.entries()) {
    const Behaviour& many = entry->record.behaviour;
    if (!entry->deviation && IsOfManyFiles(many) && many.subject == one.subject &&
        HasShape(one.object, many.object)) {
      return entry.get();
    }
  }
  return nullptr;
}

}  // namespace vedette
