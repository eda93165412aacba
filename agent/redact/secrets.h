// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vedette {

inline constexpr std::string_view kRedacted = "[redacted]";

// The stretches of one text that nobody may see, in any order; they may overlap.
class Secrets {
 public:
  void Add(size_t begin, size_t end) {
    if (begin < end) {
      stretches_.emplace_back(begin, end);
    }
  }
  bool empty() const { return stretches_.empty(); }
  // `text` with `[redacted]` in the place of each stretch; stretches that touch become one.
  std::string Applied(std::string_view text);

 private:
  std::vector<std::pair<size_t, size_t>> stretches_;
};

}  // namespace vedette
