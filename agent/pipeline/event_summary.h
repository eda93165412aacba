// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/enrich/enriched_event.h"

namespace vedette {

// What happened, in one line for people. Paths and arguments are bytes: the caller makes them
// printable.
std::string EventSummary(const EnrichedEvent& event);

// Parts of it that the JSON of an event has as well.
std::string ProtocolName(uint8_t protocol);
std::string EndpointText(const Endpoint& endpoint);
std::string_view FlowStageName(FlowStage stage);
// Of an exit's status, as wait(2) gives it; signal 0: it ended by itself.
uint32_t ExitCode(uint32_t status);
uint32_t ExitSignal(uint32_t status);

}  // namespace vedette
