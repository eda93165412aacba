// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/event/flow.h"
#include "agent/event/process.h"

namespace vedette {

// One DNS message over UDP as the socket saw it. `payload` is not parsed and not trusted.
struct DnsEvent {
  ProcessContext process;
  bool is_response = false;
  Endpoint local;
  Endpoint resolver;
  uint64_t socket_cookie = 0;
  std::string payload;  // At most 1232 bytes, from the DNS header on.
  bool truncated = false;
};

}  // namespace vedette
