// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "agent/enrich/enriched_event.h"

namespace vedette {

// All that is known of an event, as an object: who acted, in which lineage, and under the name of
// its kind what happened. Paths, arguments and names are made printable.
nlohmann::json EventFacts(const EnrichedEvent& event);

}  // namespace vedette
