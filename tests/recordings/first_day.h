// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/correlate/finding.h"
#include "agent/event/process.h"
#include "agent/profile/profile_view.h"
#include "tests/recordings/recording.h"

namespace vedette::testing {

// Two days of a host in fast motion, recorded by tests/vm/first_day.py: what the kernel told, the
// hash of each program, and which hour it was when.
struct FirstDayRecording {
  Recording ring;
  absl::flat_hash_map<CodeKey, std::string> hashes;
  std::vector<std::pair<absl::Duration, absl::Time>> clock;  // Since the boot → on the wall.

  absl::Time At(absl::Duration since_boot) const;
};

absl::StatusOr<FirstDayRecording> ReadFirstDay(const std::string& folder);

struct FirstDayOptions {
  absl::Time freeze_at = absl::InfiniteFuture();  // All profiles, by a person.
};

struct FirstDayHour {
  uint64_t starts = 0;   // Of programs.
  uint64_t flows = 0;    // Connections, accepts and listeners.
  uint64_t learned = 0;  // New behaviours.
  uint64_t findings = 0;
};

struct FirstDayResult {
  std::map<absl::Time, FirstDayHour> hours;
  std::vector<std::pair<absl::Time, Finding>> findings;
  uint64_t updates = 0;  // Of findings, that went out.
  uint64_t refused = 0;  // Records that could not be decoded.
  std::map<std::string, uint64_t> degradations;
  std::vector<ProfileSummary> profiles;  // At the end.
};

// The stages from ring bytes to findings, with the default configuration and a clock that shows
// the time of the last event. Every act is judged, also those that the kernel's cache would only
// have counted.
FirstDayResult ReplayFirstDay(const FirstDayRecording& recording, const FirstDayOptions& options);

}  // namespace vedette::testing
