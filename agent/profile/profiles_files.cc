// SPDX-License-Identifier: Apache-2.0
// Names of files that are one behaviour.
#include <algorithm>
#include <utility>

#include "agent/profile/behaviour_of.h"
#include "agent/profile/profiles.h"
#include "agent/profile/sensitive.h"

namespace vedette {
namespace {

// Two could be a coincidence, or planted. Names of letters alone say less: most could be somebody's
// abbreviation, eight of one length in one place could not.
constexpr size_t kSureNames = 3;
constexpr size_t kLikelyNames = 8;

// True once there are enough. Names that are of no weight become part of the behaviour with the
// others, so that it does not matter which came first.
bool TakeName(const std::string& object, NamesDiffer differ, size_t most, NamesOfShape& names) {
  if (names.objects.size() < most && names.objects.insert(object).second) {
    names.sure += differ == NamesDiffer::kSurely;
    names.likely += differ == NamesDiffer::kLikely;
  }
  return names.sure >= kSureNames || names.sure + names.likely >= kLikelyNames;
}

}  // namespace

Profiles::Together Profiles::TakeTogether(Profile* profile, ScoredEvent& scored) {
  std::optional<Behaviour> many = BehaviourOfMany(scored.enriched, scored.behaviour);
  if (!many) {
    return {};
  }
  // No class may stand for a sensitive name, though another one made it.
  const auto& file = std::get<FileEvent>(scored.enriched.event.body);
  if (IsSensitive(file.path, options_.sensitive) || IsSensitive(file.shape, options_.sensitive)) {
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
  NamesOfShape& names = names_of[*many];
  if (!TakeName(scored.behaviour.object, file.names_differ, options_.max_behaviours, names)) {
    return {};
  }
  Together together;
  for (const std::string& name : names.objects) {
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
