// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "agent/profile/learning.h"
#include "agent/profile/profile.h"

namespace vedette {

// Below either of these the sentence says that the evidence is weak.
inline constexpr absl::Duration kStrongEvidenceTime = absl::Hours(1);
inline constexpr uint64_t kStrongEvidenceWindows = 100;

// What the profile knew when a deviation was judged.
struct Evidence {
  const Profile* profile;  // Without the deviation.
  Profile::Found nearest;
  absl::Time time;  // Of the act.
  absl::Duration watched;
};

// What is new, compared with what, how rare, on what evidence. Printable UTF-8.
std::string DeviationSentence(const Behaviour& behaviour, const Evidence& evidence);

// What a behaviour is about as people read it: a port that the kernel chose is "any". Printable
// UTF-8.
std::string ObjectForPeople(const Behaviour& behaviour);

// For the entry that stands for all deviations above the bound.
std::string RestSentence(const Profile& profile, Channel channel, size_t limit);

}  // namespace vedette
