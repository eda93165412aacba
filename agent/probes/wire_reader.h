// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "agent/event/flow.h"
#include "agent/event/process.h"
#include "bpf/wire/flow.h"

namespace vedette {

// What the decoders of all kinds share. Stateless.

// Copies the fixed part of a record. False when the record is shorter.
template <typename T>
bool ReadWire(std::string_view record, T& to) {
  if (record.size() < sizeof(T)) {
    return false;
  }
  std::memcpy(&to, record.data(), sizeof(T));
  return true;
}

// The bytes of a plain struct, for keys that only the cache reads.
template <typename T>
std::string BytesOf(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

CodeKey CodeFromWire(const wire_code& code);
ExecId ExecIdFromWire(const wire_exec_id& id);
Credentials CredentialsFromWire(const wire_credentials& credentials);
ProcessContext ProcessFromWire(const wire_process& process);
Endpoint EndpointFromWire(const wire_endpoint& endpoint);
CodeOrigin OriginFromWire(uint8_t origin);

// A name of at most 16 bytes that ends at the first NUL.
std::string CommFromWire(const __u8 (&comm)[WIRE_COMM_BYTES]);

// Splits at NULs; a NUL at the end ends the last argument.
std::vector<std::string> SplitArguments(std::string_view bytes);

}  // namespace vedette
