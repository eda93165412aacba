/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/flow.h"

enum socket_flags {
  SOCKET_NEWS = 1,     /* its first act was reported, so its end is told too */
  SOCKET_LISTENER = 2, /* also set in the copy that an accepted socket inherits */
  SOCKET_INBOUND = 4,
  SOCKET_OPEN = 8, /* established, totals not yet counted */
};

/* The owner of a socket and, for its current flow, which behaviour it belongs to. */
struct socket_owner {
  struct wire_exec_id owner;
  struct wire_exec_id user;
  struct wire_code code;
  __u64 cgroup_id;
  __u64 home_cgroup_id;
  struct wire_slot slot;
  struct wire_flow_key key;
  struct wire_endpoint remote; /* of the current UDP flow, or of a connected socket */
  __u64 start_ns;
  __u64 sent_bytes; /* of the current UDP flow; of TCP, what was counted already */
  __u64 received_bytes;
  __u64 sent_packets;
  __u64 received_packets;
  __u32 retransmits;
  __u32 flags;
  __u16 listening_port; /* of a bound UDP socket; 0: the kernel chose it */
  __u16 pad[3];
  __u8 comm[WIRE_COMM_BYTES];
};
