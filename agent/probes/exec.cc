// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/exec.h"

#include <algorithm>

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {
namespace {

// The areas for strings that follow the shared part, in one of two sizes.
struct ExecAreas {
  size_t path, argv, script;
};

constexpr ExecAreas kSmall = {WIRE_PATH_SMALL_BYTES, WIRE_ARGV_SMALL_BYTES,
                              WIRE_SCRIPT_SMALL_BYTES};
constexpr ExecAreas kLarge = {WIRE_PATH_BYTES, WIRE_ARGV_BYTES, WIRE_SCRIPT_BYTES};

}  // namespace

absl::Status DecodeExec(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_exec wire;
  if (!ReadWire(record, wire)) {
    return TooShort("exec", record);
  }
  const ExecAreas& areas = wire.flags & WIRE_EXEC_LARGE ? kLarge : kSmall;
  const std::string_view strings = record.substr(sizeof(wire));
  if (strings.size() < areas.path + areas.argv + areas.script) {
    return TooShort("exec", record);
  }
  ExecEvent exec;
  exec.process = ProcessFromWire(wire.process);
  exec.parent_code = CodeFromWire(wire.parent_code);
  exec.previous = ExecIdFromWire(wire.previous);
  exec.path = strings.substr(0, std::min<size_t>(wire.path_bytes, areas.path));
  exec.path_truncated = wire.flags & WIRE_EXEC_PATH_CUT;
  exec.argv =
      SplitArguments(strings.substr(areas.path, std::min<size_t>(wire.argv_bytes, areas.argv)));
  exec.argv_truncated = wire.flags & WIRE_EXEC_ARGV_CUT;
  if (wire.flags & WIRE_EXEC_SCRIPT) {
    exec.script =
        strings.substr(areas.path + areas.argv, std::min<size_t>(wire.script_bytes, areas.script));
  }
  exec.path_elsewhere = wire.process.code.flags & WIRE_CODE_ELSEWHERE;
  exec.root_device = wire.root_device;
  exec.root_inode = wire.root_inode;
  exec.script_truncated = wire.flags & WIRE_EXEC_SCRIPT_CUT;
  exec.lineage_unknown = wire.flags & WIRE_EXEC_REBUILT;
  exec.origin = OriginFromWire(wire.origin);
  exec.filesystem = wire.filesystem;
  header.cache_key = BytesOf(wire.key);
  events.push_back({std::move(header), std::move(exec)});
  return absl::OkStatus();
}

}  // namespace vedette
