// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profile.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace vedette {
namespace {

// A content that could not be read is known by its path only where no content is known of it: else
// a program replaced by one that is gone in time would pass for it.
bool HashMatches(std::string_view stored, std::string_view seen, bool any_stored) {
  return seen.empty() || stored.empty() ? !any_stored : stored == seen;
}

// Of two variants that match alike, the one with a content to compare with is nearer.
bool MoreHashes(const Behaviour& b, const ProfileEntry* than) {
  const Behaviour& other = than->record.behaviour;
  return b.subject_sha256.empty() + b.object_sha256.empty() <
         other.subject_sha256.empty() + other.object_sha256.empty();
}

}  // namespace

size_t Profile::StableHash::operator()(const Behaviour& b) const {
  return absl::HashOf(b.channel, b.subject, b.object, b.qualifier);
}

Profile::Found Profile::Find(const Index& index, const Behaviour& behaviour, bool unread_matches) {
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
    const bool same = stored == behaviour;
    const bool subject =
        HashMatches(stored.subject_sha256, behaviour.subject_sha256, any_subject_hash) ||
        (unread_matches && behaviour.subject_sha256.empty());
    const bool object =
        HashMatches(stored.object_sha256, behaviour.object_sha256, any_object_hash) ||
        (unread_matches && behaviour.object_sha256.empty());
    const Match match = !object    ? Match::kObjectRevision
                        : !subject ? Match::kSubjectRevision
                        : same     ? Match::kExact
                                   : Match::kByPath;
    if (match > best.match || (match == best.match && MoreHashes(stored, best.entry))) {
      best.match = match;
      best.entry = e;
    }
    best.same = same ? e : best.same;
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
  if (sha256.empty()) {
    return false;
  }
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
  PutInIndex(entry.get());
  return entry.get();
}

void Profile::Move(ProfileEntry* entry, bool deviation) {
  TakeFromIndex(entry);
  entry->deviation = deviation;
  PutInIndex(entry);
}

void Profile::PutInIndex(ProfileEntry* entry) {
  if (const auto [it, inserted] = IndexOf(*entry).insert(entry); !inserted) {
    entry->next_variant = (*it)->next_variant;
    (*it)->next_variant = entry;
  }
  ++SizeOf(*entry);
}

void Profile::TakeFromIndex(ProfileEntry* entry) {
  Index& index = IndexOf(*entry);
  const auto it = index.find(entry);
  ProfileEntry* first = *it;
  if (first == entry) {
    index.erase(it);
    if (entry->next_variant != nullptr) {
      index.insert(entry->next_variant);
    }
  } else {
    while (first->next_variant != entry) {
      first = first->next_variant;
    }
    first->next_variant = entry->next_variant;
  }
  entry->next_variant = nullptr;
  --SizeOf(*entry);
}

std::unique_ptr<ProfileEntry> Profile::Take(ProfileEntry* entry) {
  TakeFromIndex(entry);
  const auto owner = std::find_if(entries_.begin(), entries_.end(),
                                  [entry](const auto& e) { return e.get() == entry; });
  std::unique_ptr<ProfileEntry> taken = std::move(*owner);
  entries_.erase(owner);
  return taken;
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
