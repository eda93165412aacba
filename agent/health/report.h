// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/health/ledger.h"
#include "exporters/schema/event.pb.h"

namespace vedette {

struct TimeSpan {
  absl::Time from, to;
};

// What happened between two snapshots of one ledger. `gaps` names in words what was dropped
// meanwhile; an account that is not in `before` began at zero. The uid is the caller's to set.
pb::Ledger LedgerBetween(const std::vector<LedgerEntry>& before,
                         const std::vector<LedgerEntry>& after, TimeSpan span);

// For `doctor`: [{stage, counter, received, delivered, dropped: {reason: n}, in_flight}].
nlohmann::json LedgerForDoctor(const std::vector<LedgerEntry>& entries);

}  // namespace vedette
