// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/decode.h"

#include <fmt/format.h>

#include "agent/base/kernel_clock.h"
#include "agent/base/status.h"
#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

using DecodeBody = absl::Status (*)(std::string_view, EventHeader, std::vector<Event>&);

struct KindDecoder {
  uint16_t kind;
  uint16_t version;  // The newest that this build knows.
  DecodeBody decode;
};

constexpr KindDecoder kDecoders[] = {
    {WIRE_KIND_EXEC, WIRE_VERSION_EXEC, DecodeExec},
    {WIRE_KIND_PROCESS_SEEN, WIRE_VERSION_PROCESS_SEEN, DecodeProcessSeen},
    {WIRE_KIND_FORK, WIRE_VERSION_FORK, DecodeFork},
    {WIRE_KIND_EXIT, WIRE_VERSION_EXIT, DecodeExit},
    {WIRE_KIND_CREDENTIAL, WIRE_VERSION_CREDENTIAL, DecodeCredential},
    {WIRE_KIND_FLOW, WIRE_VERSION_FLOW, DecodeFlow},
    {WIRE_KIND_DNS, WIRE_VERSION_DNS, DecodeDns},
    {WIRE_KIND_CGROUP, WIRE_VERSION_CGROUP, DecodeCgroup},
    {WIRE_KIND_MOVE, WIRE_VERSION_MOVE, DecodeMove},
    {WIRE_KIND_OVERFLOW, WIRE_VERSION_OVERFLOW, DecodeOverflow},
    {WIRE_KIND_PRIVILEGE, WIRE_VERSION_PRIVILEGE, DecodePrivilege},
    {WIRE_KIND_FILE, WIRE_VERSION_FILE, DecodeFile},
};

Reason ReasonFromWire(uint8_t reason) {
  switch (reason) {
    case WIRE_REASON_NEWS:
      return Reason::kNews;
    case WIRE_REASON_FOLLOW_UP:
      return Reason::kFollowUp;
    case WIRE_REASON_TAP:
      return Reason::kTap;
    default:
      return Reason::kContext;
  }
}

Hook HookFromWire(uint8_t hook) {
  switch (hook) {
    case WIRE_HOOK_SYS_EXIT:
      return Hook::kSysExit;
    case WIRE_HOOK_FILE_OPEN:
      return Hook::kLsmFileOpen;
    default:
      return Hook::kOnly;
  }
}

}  // namespace

absl::Status TooShort(std::string_view kind, std::string_view record) {
  return absl::InvalidArgumentError(
      fmt::format("a record of kind {} has only {} bytes", kind, record.size()));
}

absl::StatusOr<EventHeader> Decoder::Header(std::string_view record) const {
  wire_header wire;
  if (!ReadWire(record, wire)) {
    return TooShort("unknown", record);
  }
  EventHeader header;
  header.time = boot_time() + absl::Nanoseconds(static_cast<int64_t>(wire.boot_ns));
  header.cpu = wire.cpu;
  header.lane = wire.lane;
  header.sequence = wire.sequence;
  header.reason = ReasonFromWire(wire.reason);
  header.hook = HookFromWire(wire.hook);
  header.slot = {wire.slot.workload, wire.slot.generation, wire.slot.cache, wire.slot.slot};
  return header;
}

absl::Status Decoder::Decode(std::string_view record, std::vector<Event>& events) const {
  VEDETTE_ASSIGN_OR_RETURN(EventHeader header, Header(record));
  wire_header wire = {};
  ReadWire(record, wire);
  if (wire.size < sizeof(wire) || wire.size > record.size()) {
    return absl::InvalidArgumentError(fmt::format("a record of kind {} says it has {} bytes of {}",
                                                  wire.kind, wire.size, record.size()));
  }
  if (witness_) {
    witness_(record.substr(0, wire.size));
  }
  for (const KindDecoder& decoder : kDecoders) {
    if (decoder.kind == wire.kind && wire.version >= 1 && wire.version <= decoder.version) {
      const size_t before = events.size();
      VEDETTE_RETURN_IF_ERROR(
          decoder.decode(record.substr(0, wire.size), std::move(header), events));
      for (size_t i = before; redact_ && i < events.size(); ++i) {
        redact_(events[i]);
      }
      return absl::OkStatus();
    }
  }
  return absl::UnimplementedError(
      fmt::format("record kind {} version {} is not known", wire.kind, wire.version));
}

absl::Status Decoder::DecodeAll(std::string_view records, std::vector<Event>& events) const {
  while (!records.empty()) {
    wire_header wire;
    if (!ReadWire(records, wire)) {
      return TooShort("unknown", records);
    }
    VEDETTE_RETURN_IF_ERROR(Decode(records, events));
    records.remove_prefix(wire.size);
  }
  return absl::OkStatus();
}

void Decoder::SetBootTime(absl::Time boot) {
  const absl::Duration step = absl::AbsDuration(boot - boot_time());
  if (step >= kClockStep) {
    boot_ns_ = absl::ToUnixNanos(boot);
  }
}

absl::Time BootTime(const Clock& wall) {
  // Between the readings the thread may have been kept waiting.
  constexpr int kReadings = 3;
  absl::Time boot;
  absl::Duration shortest = absl::InfiniteDuration();
  for (int i = 0; i < kReadings; ++i) {
    const absl::Duration before = KernelSinceBoot();
    const absl::Time now = wall.Now();
    const absl::Duration took = KernelSinceBoot() - before;
    if (took < shortest) {
      shortest = took;
      boot = now - before;
    }
  }
  return boot;
}

}  // namespace vedette
