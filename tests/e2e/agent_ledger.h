// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vedette::testing {

// The sum of a field over the ledger's rows of `stage` whose counter ends in `suffix`.
inline uint64_t LedgerSum(const nlohmann::json& doctor, std::string_view stage,
                          std::string_view suffix, std::string_view field,
                          std::string_view reason = "") {
  uint64_t sum = 0;
  for (const nlohmann::json& row : doctor.value("ledger", nlohmann::json::array())) {
    const std::string counter = row["counter"];
    if (row["stage"] != stage || !std::string_view(counter).ends_with(suffix)) {
      continue;
    }
    const nlohmann::json& value = row[std::string(field)];
    sum +=
        value.is_object() ? value.value(std::string(reason), uint64_t{0}) : value.get<uint64_t>();
  }
  return sum;
}

// Of each stage: received = delivered + dropped + in flight; and from stage to stage.
inline void ExpectBalanced(const nlohmann::json& doctor) {
  for (const nlohmann::json& row : doctor["ledger"]) {
    uint64_t dropped = 0;
    for (const auto& [reason, count] : row["dropped"].items()) {
      dropped += count.get<uint64_t>();
    }
    EXPECT_EQ(row["received"].get<uint64_t>(),
              row["delivered"].get<uint64_t>() + dropped + row["in_flight"].get<uint64_t>())
        << row.dump();
  }
  // From end to end: whatever enters is enriched, judged, and correlated.
  const uint64_t entered = LedgerSum(doctor, "pipeline", "", "delivered");
  EXPECT_EQ(entered, LedgerSum(doctor, "enrich", "", "received"));
  EXPECT_EQ(LedgerSum(doctor, "enrich", "", "delivered"),
            LedgerSum(doctor, "profile", "events", "received"));
  EXPECT_EQ(LedgerSum(doctor, "profile", "events", "delivered"),
            LedgerSum(doctor, "correlate", "", "received"));
  EXPECT_THAT(doctor["problems"], ::testing::IsEmpty()) << doctor["problems"].dump();
}

}  // namespace vedette::testing
