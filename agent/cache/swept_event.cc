// SPDX-License-Identifier: Apache-2.0
#include "agent/cache/swept_event.h"

#include <string.h>

#include <algorithm>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "agent/base/kernel_clock.h"
#include "fmt/format.h"

namespace vedette {
namespace {

template <typename Key>
EventHeader HeaderOf(const Key& key, const wire_verdict& verdict, const CacheSlot& slot) {
  EventHeader header;
  header.time =
      absl::Now() - KernelSinceBoot() + absl::Nanoseconds(static_cast<int64_t>(verdict.first_ns));
  header.reason = Reason::kSwept;
  header.slot = slot;
  header.cache_key.assign(reinterpret_cast<const char*>(&key), sizeof(key));
  return header;
}

ProcessContext ActorOf(const wire_verdict& verdict, const CacheSlot& slot) {
  ProcessContext process;
  process.id = {verdict.first_actor.start_ns, verdict.first_actor.tgid};
  process.tgid = verdict.first_actor.tgid;
  process.workload_number = slot.workload_number;
  return process;
}

// Nothing where the key is of no privileged act.
std::optional<PrivilegeEvent> PrivilegeOf(const wire_code_key& key) {
  PrivilegeEvent event;
  switch (key.verb) {
    case WIRE_VERB_MODULE: {
      event.act = PrivilegeAct::kModuleLoad;
      const char* name = reinterpret_cast<const char*>(&key.object);
      event.module.assign(name, strnlen(name, sizeof(key.object)));
      event.name_cut = event.module.size() == sizeof(key.object);
      break;
    }
    case WIRE_VERB_IO_URING:
      event.act = PrivilegeAct::kIoUring;
      break;
    case WIRE_VERB_SIGNAL:
      event.act = PrivilegeAct::kSignal;
      event.signal = key.object.generation;
      event.target_workload_number = key.object.device;
      break;
    case WIRE_VERB_CAPABILITY:
      event.act = PrivilegeAct::kCapability;
      event.capability = key.object.generation;
      event.in_user_namespace = key.object.flags != 0;
      break;
    default:
      return std::nullopt;
  }
  event.process.code = ToCodeKey(key.subject);
  return event;
}

}  // namespace

CodeKey ToCodeKey(const wire_code& code) {
  return {code.device,     code.inode,      code.change_time_ns,
          code.size_bytes, code.generation, code.flags};
}

Event SweptEvent(const wire_code_key& key, const wire_verdict& verdict, const CacheSlot& slot,
                 const wire_script* script) {
  ProcessContext process = ActorOf(verdict, slot);
  if (std::optional<PrivilegeEvent> privilege = PrivilegeOf(key)) {
    process.code = privilege->process.code;
    privilege->process = std::move(process);
    return {HeaderOf(key, verdict, slot), *std::move(privilege)};
  }
  if (key.verb == WIRE_VERB_CREDENTIAL) {
    CredentialEvent change;
    process.code = ToCodeKey(key.subject);
    process.credentials.uid = static_cast<uint32_t>(key.object.change_time_ns >> 32);
    process.credentials.gid = static_cast<uint32_t>(key.object.change_time_ns);
    process.credentials.euid = static_cast<uint32_t>(key.object.inode >> 32);
    process.credentials.egid = static_cast<uint32_t>(key.object.inode);
    process.credentials.cap_permitted = uint64_t{key.object.flags} << 32 | key.object.generation;
    process.credentials.cap_effective = key.name;
    change.before.euid = static_cast<uint32_t>(key.object.device >> 32);
    change.before.egid = static_cast<uint32_t>(key.object.device);
    change.before.uid = static_cast<uint32_t>(key.object.size_bytes >> 32);
    change.before.gid = static_cast<uint32_t>(key.object.size_bytes);
    change.process = std::move(process);
    return {HeaderOf(key, verdict, slot), std::move(change)};
  }
  ExecEvent exec;
  process.code = ToCodeKey(key.object);
  exec.process = std::move(process);
  exec.parent_code = ToCodeKey(key.subject);
  exec.path_elsewhere = key.object.flags & WIRE_CODE_ELSEWHERE;
  if (script != nullptr) {
    exec.script.assign(reinterpret_cast<const char*>(script->name),
                       std::min<size_t>(script->bytes, sizeof(script->name)));
  } else if (key.name != 0) {
    // Neither no script nor any known one; the same name has the same hash until the next boot.
    exec.script = fmt::format("(name lost: {:016x})", key.name);
  }
  return {HeaderOf(key, verdict, slot), std::move(exec)};
}

Event SweptEvent(const wire_flow_key& key, const wire_verdict& verdict, const CacheSlot& slot) {
  FlowEvent flow;
  flow.process = ActorOf(verdict, slot);
  flow.process.code = ToCodeKey(key.subject);
  flow.protocol = key.protocol;
  Endpoint remote;
  std::copy(std::begin(key.address), std::end(key.address), remote.address.bytes.begin());
  switch (key.verb) {
    case WIRE_VERB_LISTEN:
      flow.stage = FlowStage::kListening;
      flow.direction = FlowDirection::kInbound;
      flow.local.port = key.port;
      break;
    case WIRE_VERB_ACCEPT:
      flow.stage = FlowStage::kAccepted;
      flow.direction = FlowDirection::kInbound;
      flow.local.port = key.port;
      flow.remote = remote;
      break;
    default:
      flow.stage = FlowStage::kOpen;
      remote.port = key.port;
      flow.remote = remote;
  }
  return {HeaderOf(key, verdict, slot), std::move(flow)};
}

Event SweptEvent(const wire_access_key& key, const wire_verdict& verdict, const CacheSlot& slot) {
  FileEvent file;
  file.process = ActorOf(verdict, slot);
  file.process.code = ToCodeKey(key.subject);
  file.verb = key.verb == WIRE_VERB_FILE_CREATE  ? FileVerb::kCreate
              : key.verb == WIRE_VERB_FILE_WRITE ? FileVerb::kWrite
                                                 : FileVerb::kRead;
  // The same name in the same directory has the same hash until the next boot.
  file.lost = fmt::format("(path lost: directory {} of device {}, name {:016x})", key.parent,
                          key.device, key.name);
  return {HeaderOf(key, verdict, slot), std::move(file)};
}

}  // namespace vedette
