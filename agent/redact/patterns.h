// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "agent/redact/secrets.h"

namespace vedette {

// The user's own patterns, in RE2's syntax, over bytes. Where a pattern has a group, the first
// group is the secret, else all that matches. Immutable once made; any thread.
class Patterns {
 public:
  static constexpr size_t kMaxPatterns = 64;
  // Of RE2's program; what one byte of an argument can cost.
  static constexpr int kMaxProgram = 1000;

  // InvalidArgument, in one sentence that holds the pattern and the place in it.
  absl::Status Add(const std::string& pattern);

  bool empty() const { return patterns_.empty(); }
  // Finds in one argument. What it can cost at most is taken from `budget`; false, with nothing
  // found, when that is not enough.
  bool Find(std::string_view text, uint64_t& budget, Secrets& found) const;

 private:
  std::vector<std::unique_ptr<RE2>> patterns_;
  uint64_t program_ = 0;  // Of all of them.
};

// Empty when `pattern` can be used, else what is wrong with it.
std::string WhatIsWrongWithPattern(const std::string& pattern);

}  // namespace vedette
