// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace vedette {

// The account of one stage: received = emitted + the sum of dropped by reason. One thread.
struct StageLedger {
  uint64_t received = 0;
  uint64_t emitted = 0;
  std::map<std::string, uint64_t, std::less<>> dropped;

  void Drop(std::string_view reason, uint64_t count = 1) {
    const auto it = dropped.find(reason);
    (it == dropped.end() ? dropped.emplace(reason, 0).first : it)->second += count;
  }
  uint64_t DroppedFor(std::string_view reason) const {
    const auto it = dropped.find(reason);
    return it == dropped.end() ? 0 : it->second;
  }
  bool Balances() const {
    uint64_t sum = emitted;
    for (const auto& [reason, count] : dropped) {
      sum += count;
    }
    return sum == received;
  }
};

}  // namespace vedette
