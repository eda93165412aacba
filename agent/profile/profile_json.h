// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "agent/profile/profile_view.h"

namespace vedette {

// JSON of the control surface (`profile list|show|export`). Stable: keys are only added. All text
// is printable UTF-8, whatever bytes the profile holds.
nlohmann::json ToJson(const Dismissal& dismissal);
nlohmann::json ToJson(const BehaviourRecord& record, bool deviation);
nlohmann::json ToJson(const ProfileSummary& summary);
nlohmann::json ToJson(const ProfileDetail& detail);

}  // namespace vedette
