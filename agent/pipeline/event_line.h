// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "agent/event/event.h"
#include "agent/profile/scored_event.h"

namespace vedette {

// "exec", "connect", "accept", "listen", "flow", "dns", … as `vedette events --kind` takes it.
std::string_view EventKind(const Event& event);
// Refuses what is the name of no kind.
absl::Status CheckEventKinds(const std::vector<std::string>& kinds);

// One line of JSON without a newline, as docs/api.md describes it. Bytes that are no text are shown
// as \xNN.
std::string EventLine(const ScoredEvent& scored);

}  // namespace vedette
