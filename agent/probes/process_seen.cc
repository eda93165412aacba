// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/process_seen.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"
#include "bpf/wire/exec.h"

namespace vedette {

absl::Status DecodeProcessSeen(std::string_view record, EventHeader header,
                               std::vector<Event>& events) {
  wire_process_seen wire;
  if (!ReadWire(record, wire) || record.size() < sizeof(wire) + wire.path_bytes + wire.argv_bytes) {
    return TooShort("process_seen", record);
  }
  ProcessSeenEvent seen;
  seen.process = ProcessFromWire(wire.process);
  seen.path = record.substr(sizeof(wire), wire.path_bytes);
  seen.path_truncated = wire.flags & WIRE_EXEC_PATH_CUT;
  seen.path_elsewhere = wire.process.code.flags & WIRE_CODE_ELSEWHERE;
  seen.argv = SplitArguments(record.substr(sizeof(wire) + wire.path_bytes, wire.argv_bytes));
  seen.origin = OriginFromWire(wire.origin);
  events.push_back({std::move(header), std::move(seen)});
  return absl::OkStatus();
}

}  // namespace vedette
