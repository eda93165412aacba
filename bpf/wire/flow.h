/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/cache.h"

enum wire_flow_stage {
  WIRE_FLOW_OPEN = 0,
  WIRE_FLOW_ESTABLISHED = 1,
  WIRE_FLOW_FAILED = 2,
  WIRE_FLOW_ACCEPTED = 3,
  WIRE_FLOW_LISTENING = 4,
  WIRE_FLOW_UPDATE = 5,
  WIRE_FLOW_CLOSED = 6,
};

/* IPv4 stands as ::ffff:a.b.c.d. Ports in host byte order. */
struct wire_endpoint {
  __u8 address[16];
  __u16 port;
  __u8 pad[6];
};
WIRE_LAYOUT(struct wire_endpoint, 24);

struct wire_flow {
  struct wire_header header;
  struct wire_process process;
  struct wire_exec_id user;
  struct wire_endpoint local;
  struct wire_endpoint remote;
  struct wire_flow_key key;
  __u64 cookie;
  __u64 sent_bytes;
  __u64 received_bytes;
  __u64 sent_packets;
  __u64 received_packets;
  __u64 duration_ns;
  __u32 retransmits;
  __u32 smoothed_rtt_us;
  __u32 error; /* positive errno */
  __u8 protocol;
  __u8 stage;
  __u8 inbound;
  __u8 pad;
};
WIRE_LAYOUT(struct wire_flow, 1008);
