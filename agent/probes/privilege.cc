// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/privilege.h"

#include <cstring>
#include <optional>

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {
namespace {

std::optional<PrivilegeAct> ActFromWire(uint32_t verb) {
  switch (verb) {
    case WIRE_VERB_MODULE:
      return PrivilegeAct::kModuleLoad;
    case WIRE_VERB_IO_URING:
      return PrivilegeAct::kIoUring;
    case WIRE_VERB_SIGNAL:
      return PrivilegeAct::kSignal;
    case WIRE_VERB_CAPABILITY:
      return PrivilegeAct::kCapability;
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::Status DecodePrivilege(std::string_view record, EventHeader header,
                             std::vector<Event>& events) {
  wire_privilege wire;
  if (!ReadWire(record, wire)) {
    return TooShort("privilege", record);
  }
  const std::optional<PrivilegeAct> act = ActFromWire(wire.key.verb);
  if (!act) {
    return absl::InvalidArgumentError("a record of kind privilege has an unknown verb");
  }
  PrivilegeEvent event;
  event.process = ProcessFromWire(wire.process);
  event.act = *act;
  switch (*act) {
    case PrivilegeAct::kModuleLoad: {
      const char* name = reinterpret_cast<const char*>(wire.module);
      event.module.assign(name, strnlen(name, sizeof(wire.module)));
      event.taints = wire.flags;
      break;
    }
    case PrivilegeAct::kIoUring:
      event.setup_flags = wire.flags;
      break;
    case PrivilegeAct::kSignal:
      event.signal = wire.number;
      event.target = ExecIdFromWire(wire.target);
      event.target_comm = CommFromWire(wire.target_comm);
      event.target_home_cgroup_id = wire.target_home_cgroup_id;
      event.target_workload_number = wire.target_workload;
      break;
    case PrivilegeAct::kCapability:
      event.capability = wire.number;
      event.in_user_namespace = wire.flags != 0;
      break;
  }
  header.cache_key = BytesOf(wire.key);
  events.push_back({std::move(header), std::move(event)});
  return absl::OkStatus();
}

}  // namespace vedette
