// SPDX-License-Identifier: Apache-2.0
// Which profile makes room when the bound is reached.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/base/text.h"
#include "agent/profile/profiles.h"

namespace vedette {

// What runs is never evicted, however long it was silent, nor what the kernel's cache still counts
// for: the kernel would go on calling known what no profile holds.
bool Profiles::MayEvict(const Profile& profile) const {
  return profile.bound_slots == 0 && options_.is_running && !options_.is_running(profile.name);
}

// Of the workloads that are gone, a frozen one last; among equals the one whose last act is the
// longest ago.
const Profile* Profiles::FirstGone() const {
  if (evicted_.size() >= kMaxUnsavedEvictions) {
    return nullptr;
  }
  const auto rank = [](const Profile& p) {
    return std::make_tuple(!p.frozen_by.empty(), p.last_seen(), p.row);
  };
  const Profile* first = nullptr;
  for (const auto& profile : profiles_) {
    if ((first == nullptr || rank(*profile) < rank(*first)) && MayEvict(*profile)) {
      first = profile.get();
    }
  }
  return first;
}

bool Profiles::MakeRoom() {
  const Profile* first = FirstGone();
  if (first != nullptr) {
    Evict(*first);
  }
  return first != nullptr;
}

size_t Profiles::ForgetOlder(absl::Time time, size_t limit) {
  size_t count = 0;
  for (const Profile* first = nullptr; count < limit; ++count) {
    first = FirstGone();
    if (first == nullptr || !first->frozen_by.empty() || first->last_seen() >= time) {
      break;
    }
    Remove(*first);
  }
  counters_.profiles_aged += count;
  return count;
}

size_t Profiles::ForgetGone(size_t limit) {
  size_t count = 0;
  for (const Profile* first = nullptr; count < limit; ++count) {
    first = FirstGone();
    if (first == nullptr) {
      break;
    }
    Remove(*first);
  }
  counters_.profiles_shed += count;
  return count;
}

void Profiles::Evict(const Profile& profile) {
  const std::string name = PrintableUtf8(profile.name);
  if (profile.frozen_by.empty()) {
    // Said once: where short-lived workloads come and go, this is how it always is.
    if (counters_.profiles_evicted++ == 0) {
      spdlog::warn(
          "{} workloads have profiles, which is the bound: that of {}, gone and never frozen, "
          "makes "
          "room; further ones are counted as evicted",
          profiles_.size(), name);
    }
  } else {
    ++counters_.frozen_evicted;
    spdlog::error(
        "{} workloads have profiles, which is the bound, and all that are gone were frozen: that "
        "of "
        "{}, frozen by {}, makes room; should it come back, it learns anew",
        profiles_.size(), name, PrintableUtf8(profile.frozen_by));
  }
  Remove(profile);
}

void Profiles::Remove(const Profile& profile) {
  ProfileRows rows{profile.row, {}};
  for (const auto& entry : profile.entries()) {
    rows.behaviours.push_back(entry->row);
  }
  evicted_.push_back(std::move(rows));
  std::erase_if(dirty_entries_, [&](const ProfileEntry* e) { return e->profile == &profile; });
  std::erase(dirty_profiles_, &profile);
  by_name_.erase(profile.name);
  std::erase_if(profiles_, [&](const auto& p) { return p.get() == &profile; });
}

}  // namespace vedette
