// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/move.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeMove(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_move wire;
  if (!ReadWire(record, wire)) {
    return TooShort("move", record);
  }
  MoveEvent move;
  move.process = ProcessFromWire(wire.process);
  move.to_cgroup_id = wire.to_cgroup_id;
  move.mover = ExecIdFromWire(wire.mover);
  move.mover_code = CodeFromWire(wire.mover_code);
  move.by_runtime = wire.adopted;
  events.push_back({std::move(header), std::move(move)});
  return absl::OkStatus();
}

}  // namespace vedette
