// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/overflow.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeOverflow(std::string_view record, EventHeader header,
                            std::vector<Event>& events) {
  wire_overflow wire;
  if (!ReadWire(record, wire)) {
    return TooShort("overflow", record);
  }
  events.push_back({std::move(header), OverflowEvent{wire.workload, wire.generation, wire.cache,
                                                     /*limit=*/0, /*lost=*/0}});
  return absl::OkStatus();
}

}  // namespace vedette
