// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "agent/event/process.h"

namespace vedette {

// IPv6, or IPv4 as the mapped form ::ffff:a.b.c.d, so that both are one address. Network byte
// order.
struct IpAddress {
  std::array<uint8_t, 16> bytes = {};

  bool is_v4() const;
  std::string ToString() const;  // "10.0.0.1" for mapped addresses.
  auto operator<=>(const IpAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.bytes);
  }
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;  // Host byte order.
  auto operator<=>(const Endpoint&) const = default;
};

enum class FlowDirection { kOutbound, kInbound };
// kOpen: first act of a flow (connect, first datagram). kEstablished and kFailed: outcome of a TCP
// connect. kAccepted: inbound TCP established, or first inbound datagram. kListening: a listener.
// kUpdate: a flow that is open for longer than a minute. kClosed: with the totals.
enum class FlowStage { kOpen, kEstablished, kFailed, kAccepted, kListening, kUpdate, kClosed };

// A network act. `process` is the owner: who made the socket connect or listen.
struct FlowEvent {
  ProcessContext process;
  FlowStage stage = FlowStage::kOpen;
  FlowDirection direction = FlowDirection::kOutbound;
  uint8_t protocol = 0;  // IPPROTO_TCP, IPPROTO_UDP, …
  Endpoint local;
  Endpoint remote;
  bool ephemeral_port = false;  // Inbound: the kernel chose the port that is listened on.
  uint64_t socket_cookie = 0;
  ExecId user;    // The task last seen sending or receiving on the socket; unknown until then.
  int error = 0;  // Positive errno for kFailed.
  uint64_t sent_bytes = 0, received_bytes = 0;
  uint64_t sent_packets = 0, received_packets = 0;
  uint32_t retransmits = 0;
  absl::Duration smoothed_rtt;
  absl::Duration duration;
};

}  // namespace vedette
