// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace vedette {

// How many events were told of each workload, for at most so many workloads at once; what finds no
// room is counted together. One thread. Knows no workloads itself: whoever does says which are
// kept.
class RecordCounts {
 public:
  explicit RecordCounts(size_t most) : most_(most) {}

  void Count(const std::string& workload) {
    if (counts_.size() >= most_ && !counts_.contains(workload)) {
      ++left_out_;
      return;
    }
    ++counts_[workload];
  }
  // Forgets all others.
  void Keep(const std::function<bool(const std::string&)>& is_kept) {
    absl::erase_if(counts_, [&](const auto& entry) { return !is_kept(entry.first); });
  }
  uint64_t Of(const std::string& workload) const {
    const auto it = counts_.find(workload);
    return it == counts_.end() ? 0 : it->second;
  }
  uint64_t left_out() const { return left_out_; }

 private:
  const size_t most_;
  absl::flat_hash_map<std::string, uint64_t> counts_;
  uint64_t left_out_ = 0;
};

}  // namespace vedette
