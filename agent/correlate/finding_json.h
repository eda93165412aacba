// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "agent/correlate/finding.h"

namespace vedette {

// JSON of the control surface (`finding list|show`): the whole story. Stable: keys are only added.
// All text is printable UTF-8, whatever bytes the finding holds.
nlohmann::json ToJson(const Finding& finding);

}  // namespace vedette
