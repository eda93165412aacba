// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/dns.h"

#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {

// The kernel sends an answer together with the query that it matched by socket, resolver and id;
// the two become two events, so that whoever names peers compares the questions.
absl::Status DecodeDns(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_dns wire;
  if (!ReadWire(record, wire) || wire.query_bytes > sizeof(wire.query) ||
      wire.answer_bytes > sizeof(wire.answer)) {
    return TooShort("dns", record);
  }
  DnsEvent query;
  query.process = ProcessFromWire(wire.process);
  query.local = EndpointFromWire(wire.local);
  query.resolver = EndpointFromWire(wire.resolver);
  query.socket_cookie = wire.cookie;
  query.payload.assign(reinterpret_cast<const char*>(wire.query), wire.query_bytes);
  DnsEvent answer = query;
  answer.is_response = true;
  answer.payload.assign(reinterpret_cast<const char*>(wire.answer), wire.answer_bytes);
  answer.truncated = wire.answer_cut;
  events.push_back({header, std::move(query)});
  events.push_back({std::move(header), std::move(answer)});
  return absl::OkStatus();
}

}  // namespace vedette
