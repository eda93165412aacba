// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/exit.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeExit(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_exit wire;
  if (!ReadWire(record, wire)) {
    return TooShort("exit", record);
  }
  events.push_back(
      {std::move(header), ExitEvent{ProcessFromWire(wire.process), wire.status,
                                    absl::Nanoseconds(static_cast<int64_t>(wire.lifetime_ns))}});
  return absl::OkStatus();
}

}  // namespace vedette
