// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/credential.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeCredential(std::string_view record, EventHeader header,
                              std::vector<Event>& events) {
  wire_credential wire;
  if (!ReadWire(record, wire)) {
    return TooShort("credential", record);
  }
  header.cache_key = BytesOf(wire.key);
  events.push_back({std::move(header), CredentialEvent{ProcessFromWire(wire.process),
                                                       CredentialsFromWire(wire.before)}});
  return absl::OkStatus();
}

}  // namespace vedette
