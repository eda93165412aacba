// SPDX-License-Identifier: Apache-2.0
// What changed goes into the store, in the transaction of whoever calls.
#include "agent/base/status.h"
#include "agent/profile/profiles.h"

namespace vedette {

void Profiles::MarkDirty(ProfileEntry* entry, Dirty dirty) {
  if (entry->dirty == Dirty::kNo) {
    dirty_entries_.push_back(entry);
  }
  entry->dirty = std::max(entry->dirty, dirty);
  entry->written = false;
}

void Profiles::MarkDirty(Profile* profile, Dirty dirty) {
  if (profile->dirty == Dirty::kNo) {
    dirty_profiles_.push_back(profile);
  }
  profile->dirty = std::max(profile->dirty, dirty);
  profile->written = false;
}

absl::Status Profiles::Write() { return Save(Dirty::kRow); }
absl::Status Profiles::Flush() { return Save(Dirty::kCounts); }

absl::Status Profiles::Save(Dirty least) {
  bool any = least == Dirty::kCounts || !evicted_.empty() || !folded_.empty();
  // What made room first: a workload that came back has the same name.
  for (const ProfileRows& rows : evicted_) {
    VEDETTE_RETURN_IF_ERROR(store_->Remove(rows));
  }
  evicted_written_ = evicted_.size();
  for (const int64_t row : folded_) {
    VEDETTE_RETURN_IF_ERROR(store_->RemoveEntry(row));
  }
  folded_written_ = folded_.size();
  // Profiles first: behaviours refer to them.
  for (Profile* profile : dirty_profiles_) {
    profile->written = profile->dirty >= least;
    if (profile->written) {
      VEDETTE_RETURN_IF_ERROR(store_->SaveWorkload(*profile));
      any = true;
    }
  }
  for (ProfileEntry* entry : dirty_entries_) {
    entry->written = entry->dirty >= least;
    if (entry->written) {
      VEDETTE_RETURN_IF_ERROR(store_->SaveEntry(*entry));
      any = true;
    }
  }
  return any ? store_->SaveUptime(Uptime()) : absl::OkStatus();
}

void Profiles::Committed() {
  evicted_.erase(evicted_.begin(), evicted_.begin() + static_cast<ptrdiff_t>(evicted_written_));
  evicted_written_ = 0;
  folded_.erase(folded_.begin(), folded_.begin() + static_cast<ptrdiff_t>(folded_written_));
  folded_written_ = 0;
  const auto done = [](auto* item) {
    if (item->written) {
      item->written = false;
      item->dirty = Dirty::kNo;
    }
    return item->dirty == Dirty::kNo;
  };
  std::erase_if(dirty_profiles_, done);
  std::erase_if(dirty_entries_, done);
}

}  // namespace vedette
