// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "agent/profile/activity.h"
#include "agent/profile/behaviour.h"
#include "agent/profile/learning.h"
#include "agent/profile/profile_view.h"

namespace vedette {

class Profile;

// What of an entry the store does not hold yet. Counts alone wait for a flush.
enum class Dirty { kNo, kCounts, kRow };

// One behaviour or known deviation in memory. Its address does not change while the profile lives.
struct ProfileEntry {
  BehaviourRecord record;
  Profile* profile = nullptr;
  bool deviation = false;
  int64_t row = 0;
  Dirty dirty = Dirty::kNo;
  bool written = false;                  // In a transaction that is not committed yet.
  bool was_dismissed = false;            // The store may hold a dismissal of it.
  ProfileEntry* next_variant = nullptr;  // Same behaviour with other hashes.
};

// Names of files that may become one behaviour.
struct NamesOfShape {
  absl::flat_hash_set<std::string> objects;
  size_t sure = 0;  // Of them, those that are others each time, and those that look so.
  size_t likely = 0;
};

// The behaviours of one workload: what was learned and which deviations are known already. A set
// with evidence, independent of the order in which it was filled. Owned by Profiles, pipeline
// thread. Decides nothing: when to learn and what to report is for Profiles.
class Profile {
 public:
  // Variants of a behaviour differ in hashes. Where the profile knows no hash of it, its path is
  // enough. Where it knows one, a content that is another, or that nobody could read, is a
  // revision.
  enum class Match { kNone, kObjectRevision, kSubjectRevision, kByPath, kExact };
  struct Found {
    Match match = Match::kNone;
    ProfileEntry* entry = nullptr;  // The nearest variant; none for kNone.
    ProfileEntry* same = nullptr;   // Equal in all fields, which is no match if a hash is missing.
    bool known() const { return match >= Match::kByPath; }
    // A person accepted exactly this, as where no content could be read.
    bool accepted() const { return same != nullptr && same->record.dismissal.has_value(); }
    ProfileEntry* known_or_same() const { return same != nullptr || !known() ? same : entry; }
  };

  Profile(std::string name, std::string identity, absl::Time first_seen)
      : name(std::move(name)), identity(std::move(identity)), first_seen(first_seen) {}

  Found FindLearned(const Behaviour& behaviour) const { return Find(learned_, behaviour, false); }
  // An unread content of a path that deviates already is no further deviation.
  Found FindDeviation(const Behaviour& behaviour) const {
    return Find(deviations_, behaviour, true);
  }
  // A known deviation that started exactly this code; none: null.
  ProfileEntry* FindDeviatingProgram(const std::string& path, const std::string& sha256) const;
  // The profile holds this content of this program, in whatever behaviour; never an unknown one.
  bool KnowsCode(const std::string& path, const std::string& sha256) const;

  ProfileEntry* Add(BehaviourRecord record, bool deviation);
  // Makes an entry a deviation, or a learned behaviour. Its address stays.
  void Move(ProfileEntry* entry, bool deviation);
  std::unique_ptr<ProfileEntry> Take(ProfileEntry* entry);  // It is no longer part of the profile.
  size_t Size(Channel channel, bool deviation) const;
  // Distinct windows in which something new turned up, learned or deviating.
  uint64_t NovelWindows(Channel channel) const;
  const std::vector<std::unique_ptr<ProfileEntry>>& entries() const { return entries_; }

  Activity& activity(Channel channel) { return activity_[static_cast<size_t>(channel)]; }
  const Activity& activity(Channel channel) const {
    return activity_[static_cast<size_t>(channel)];
  }
  bool& cut(Channel channel) { return cut_[static_cast<size_t>(channel)]; }
  bool cut(Channel channel) const { return cut_[static_cast<size_t>(channel)]; }

  void SeenAt(absl::Time time) { last_seen_ = std::max(last_seen_, time); }
  absl::Time last_seen() const { return std::max(first_seen, last_seen_); }  // The last act.

  const std::string name;
  std::string identity;
  const absl::Time first_seen;
  Learning learning;
  absl::Time learned_at = absl::InfiniteFuture();
  std::string frozen_by;  // Empty: not frozen.
  absl::Time frozen_at = absl::InfiniteFuture();
  // Of the agent, when learning ended; of profiles from the store not known.
  absl::Duration ended_uptime = -absl::InfiniteDuration();
  int64_t row = 0;
  Dirty dirty = Dirty::kNo;
  bool written = false;    // In a transaction that is not committed yet.
  size_t bound_slots = 0;  // Entries of the kernel's cache that count for it.
  // While learning: behaviours that names of files may become, and the objects seen of them.
  absl::flat_hash_map<Behaviour, NamesOfShape> names_of_shape;

 private:
  // Hash and equality over everything but the content hashes.
  struct StableHash {
    using is_transparent = void;
    size_t operator()(const Behaviour& b) const;
    size_t operator()(const ProfileEntry* e) const { return (*this)(e->record.behaviour); }
  };
  struct StableEqual {
    using is_transparent = void;
    static const Behaviour* Of(const Behaviour& b) { return &b; }
    static const Behaviour* Of(const ProfileEntry* e) { return &e->record.behaviour; }
    template <typename A, typename B>
    bool operator()(const A& left, const B& right) const {
      const Behaviour& a = *Of(left);
      const Behaviour& b = *Of(right);
      return a.channel == b.channel && a.subject == b.subject && a.object == b.object &&
             a.qualifier == b.qualifier;
    }
  };
  using Index = absl::flat_hash_set<ProfileEntry*, StableHash, StableEqual>;
  static Found Find(const Index& index, const Behaviour& behaviour, bool unread_matches);

  void PutInIndex(ProfileEntry* entry);
  void TakeFromIndex(ProfileEntry* entry);
  Index& IndexOf(const ProfileEntry& entry) { return entry.deviation ? deviations_ : learned_; }
  size_t& SizeOf(const ProfileEntry& entry) {
    return sizes_[static_cast<size_t>(entry.record.behaviour.channel)][entry.deviation ? 1 : 0];
  }

  std::vector<std::unique_ptr<ProfileEntry>> entries_;
  Index learned_;
  Index deviations_;
  std::array<std::array<size_t, 2>, kChannels.size()> sizes_ = {};
  std::array<Activity, kChannels.size()> activity_;
  std::array<bool, kChannels.size()> cut_ = {};
  absl::Time last_seen_ = absl::InfinitePast();
};

}  // namespace vedette
