// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vedette {

// What a default profile covers: all acts of the workloads, or, where paths are given, those of the
// programs there (`by`) and of what they start (`below`). Or which kinds of acts are the job of the
// workloads (`expected`): these make no finding at all.
struct DefaultRule {
  std::vector<std::string> workloads;  // Patterns; see MatchesWorkload.
  std::vector<std::string> by;
  std::vector<std::string> below;
  std::vector<std::string> expected;  // Of kExpectedActs.

  bool whole_workload() const { return by.empty() && below.empty() && expected.empty(); }
};

// What may be expected, by the names of the channels. What runs new code is never among them.
inline constexpr std::array<std::string_view, 1> kExpectedActs = {"signal"};

// Acts whose findings are never above severity low, or that make none; docs/learning.md.
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
