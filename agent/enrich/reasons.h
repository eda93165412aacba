// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace vedette {

// Counts what went less than well, by reason, and logs one sentence the first time each reason
// appears: a flood is a number, not a flood of lines. One thread.
class Reasons {
 public:
  explicit Reasons(std::string_view area) : area_(area) {}

  // `reason` is a short stable name, used as a metric label; `sentence` says what it means here,
  // and `about` what the first one was about.
  void Count(std::string_view reason, std::string_view sentence, std::string_view about = {});
  uint64_t count(std::string_view reason) const;
  const std::map<std::string, uint64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::string area_;
  std::map<std::string, uint64_t, std::less<>> counts_;
};

}  // namespace vedette
