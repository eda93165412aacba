// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/profile/behaviour.h"

namespace vedette {

// The far end of a flow as behaviours name it.
struct PeerName {
  bool inbound = false;
  std::string peer;      // "dns:db.example", "workload:host/x", "net:10.0.0.0/24". Bytes.
  uint32_t port = 0;     // Inbound: the local one.
  std::string protocol;  // "tcp", "udp", "ip-132".
};

// nullopt: the act is not with a peer.
std::optional<PeerName> PeerNameOf(const Act& act);

}  // namespace vedette
