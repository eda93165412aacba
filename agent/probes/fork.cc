// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/fork.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeFork(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_fork wire;
  if (!ReadWire(record, wire)) {
    return TooShort("fork", record);
  }
  events.push_back({std::move(header), ForkEvent{ProcessFromWire(wire.process)}});
  return absl::OkStatus();
}

}  // namespace vedette
