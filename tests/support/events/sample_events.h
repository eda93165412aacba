// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exporters/schema/event.pb.h"

namespace vedette {

// Findings of every kind and shape that the agent makes, with hostile bytes among them, for tests
// that must hold for whatever leaves the agent.
std::vector<pb::Event> SampleFindings();

// A ledger that balances and one with a gap.
std::vector<pb::Event> SampleLedgers();

}  // namespace vedette
