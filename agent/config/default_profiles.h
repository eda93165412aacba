// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vedette {

// What a default profile covers: all acts of the workloads, or, where paths are given, those of the
// programs there (`by`) and of what they start (`below`).
struct DefaultRule {
  std::vector<std::string> workloads;  // Patterns; see MatchesWorkload.
  std::vector<std::string> by;
  std::vector<std::string> below;

  bool whole_workload() const { return by.empty() && below.empty(); }
};

// Acts whose findings are never above severity low; docs/learning.md.
struct DefaultProfile {
  std::string name;
  std::string about;
  std::vector<DefaultRule> rules;
};

inline constexpr size_t kMaxDefaultProfiles = 64;
inline constexpr size_t kMaxDefaultItems = 256;  // Of each list in one.

// The file that is part of the agent: deploy/default-profiles.yaml.
std::string_view BuiltinDefaultProfiles();

// `setting`: "builtin", "off" or the path of a file. InvalidArgument: one line per mistake, as
// LoadConfig says them.
absl::StatusOr<std::vector<DefaultProfile>> LoadDefaultProfiles(const std::string& setting);
absl::StatusOr<std::vector<DefaultProfile>> ParseDefaultProfiles(const std::string& text,
                                                                 const std::string& file);

// `*` stands for any text without a slash, `**` for any text.
bool MatchesWorkload(std::string_view pattern, std::string_view name);

}  // namespace vedette
