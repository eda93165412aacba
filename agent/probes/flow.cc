// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/flow.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

absl::Status DecodeFlow(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_flow wire;
  if (!ReadWire(record, wire)) {
    return TooShort("flow", record);
  }
  if (wire.stage > WIRE_FLOW_CLOSED) {
    return absl::InvalidArgumentError("a record of kind flow has an unknown stage");
  }
  FlowEvent flow;
  flow.process = ProcessFromWire(wire.process);
  // Both sides count the stages in the same order.
  flow.stage = static_cast<FlowStage>(wire.stage);
  flow.direction = wire.inbound ? FlowDirection::kInbound : FlowDirection::kOutbound;
  flow.protocol = wire.protocol;
  flow.local = EndpointFromWire(wire.local);
  flow.remote = EndpointFromWire(wire.remote);
  flow.ephemeral_port = wire.inbound && wire.key.port == 0;
  flow.socket_cookie = wire.cookie;
  flow.user = ExecIdFromWire(wire.user);
  flow.error = static_cast<int>(wire.error);
  flow.sent_bytes = wire.sent_bytes;
  flow.received_bytes = wire.received_bytes;
  flow.sent_packets = wire.sent_packets;
  flow.received_packets = wire.received_packets;
  flow.retransmits = wire.retransmits;
  flow.smoothed_rtt = absl::Microseconds(wire.smoothed_rtt_us);
  flow.duration = absl::Nanoseconds(static_cast<int64_t>(wire.duration_ns));
  header.cache_key = BytesOf(wire.key);
  events.push_back({std::move(header), std::move(flow)});
  return absl::OkStatus();
}

}  // namespace vedette
