// SPDX-License-Identifier: Apache-2.0
// Prints the sample findings as the agent would send them, one line of JSON each.
#include <cstdio>

#include "exporters/schema/encode.h"
#include "tests/support/events/sample_events.h"

int main() {
  for (const vedette::pb::Event& event : vedette::SampleFindings()) {
    std::puts(vedette::EncodeJson(event).c_str());
  }
}
