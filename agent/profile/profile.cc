// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profile.h"

#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace vedette {
namespace {

bool HashMatches(std::string_view stored, std::string_view seen, bool any_stored) {
  return seen.empty() || stored == seen || (stored.empty() && !any_stored);
}

}  // namespace

size_t Profile::StableHash::operator()(const Behaviour& b) const {
  return absl::HashOf(b.channel, b.subject, b.object, b.qualifier);
}

Profile::Found Profile::Find(const Index& index, const Behaviour& behaviour) {
  const auto it = index.find(behaviour);
  if (it == index.end()) {
    return {};
  }
  bool any_subject_hash = false;
  bool any_object_hash = false;
  for (const ProfileEntry* e = *it; e != nullptr; e = e->next_variant) {
    any_subject_hash |= !e->record.behaviour.subject_sha256.empty();
    any_object_hash |= !e->record.behaviour.object_sha256.empty();
  }
  Found best;
  for (ProfileEntry* e = *it; e != nullptr; e = e->next_variant) {
    const Behaviour& stored = e->record.behaviour;
    if (stored == behaviour) {
      return {Match::kExact, e};
    }
    const bool subject =
        HashMatches(stored.subject_sha256, behaviour.subject_sha256, any_subject_hash);
    const bool object = HashMatches(stored.object_sha256, behaviour.object_sha256, any_object_hash);
    const Match match = subject && object ? Match::kByPath
                        : object          ? Match::kSubjectRevision
                                          : Match::kObjectRevision;
    if (match > best.match) {
      best = {match, e};
    }
  }
  return best;
}

ProfileEntry* Profile::FindDeviatingProgram(const std::string& path,
                                            const std::string& sha256) const {
  for (const auto& e : entries_) {
    const Behaviour& b = e->record.behaviour;
    if (e->deviation && b.channel == Channel::kExec && b.object == path &&
        b.object_sha256 == sha256) {
      return e.get();
    }
  }
  return nullptr;
}

bool Profile::KnowsCode(const std::string& path, const std::string& sha256) const {
  for (const auto& e : entries_) {
    const Behaviour& b = e->record.behaviour;
    if (!e->deviation && ((b.subject == path && b.subject_sha256 == sha256) ||
                          (b.object == path && b.object_sha256 == sha256))) {
      return true;
    }
  }
  return false;
}

ProfileEntry* Profile::Add(BehaviourRecord record, bool deviation) {
  auto& entry = entries_.emplace_back(std::make_unique<ProfileEntry>());
  entry->record = std::move(record);
  SeenAt(entry->record.last_seen);
  entry->profile = this;
  entry->deviation = deviation;
  Index& index = deviation ? deviations_ : learned_;
  if (const auto [it, inserted] = index.insert(entry.get()); !inserted) {
    entry->next_variant = (*it)->next_variant;
    (*it)->next_variant = entry.get();
  }
  ++sizes_[static_cast<size_t>(entry->record.behaviour.channel)][deviation ? 1 : 0];
  return entry.get();
}

size_t Profile::Size(Channel channel, bool deviation) const {
  return sizes_[static_cast<size_t>(channel)][deviation ? 1 : 0];
}

uint64_t Profile::NovelWindows(Channel channel) const {
  absl::flat_hash_set<int64_t> windows;
  for (const auto& e : entries_) {
    if (e->record.behaviour.channel == channel) {
      windows.insert(Activity::WindowOf(e->record.first_seen));
    }
  }
  return windows.size();
}

}  // namespace vedette
