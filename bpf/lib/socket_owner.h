/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/flow.h"

enum socket_flags {
  SOCKET_NEWS = 1,     /* its first act was reported, so its end is told too */
  SOCKET_LISTENER = 2, /* also set in the copy that an accepted socket inherits */
  SOCKET_INBOUND = 4,
  SOCKET_OPEN = 8,          /* established, totals not yet counted */
  SOCKET_HAS_LATENCY = 16,  /* its round trip is not yet counted */
  SOCKET_LATENCY_SHIFT = 8, /* outbound: the bucket of connecting stands from this bit on */
};

/* The owner of a socket and, for its current flow, which behaviour it belongs to. What every
 * connection touches comes first. */
struct socket_owner {
  struct wire_slot slot;
  __u64 start_ns;
  __u64 sent_bytes; /* of the current UDP flow; of TCP, what was counted already */
  __u64 received_bytes;
  __u64 retransmits;
  __u32 flags;
  __u32 pad;
  struct wire_exec_id owner;
  struct wire_exec_id user;
  __u64 cgroup_id;
  __u64 home_cgroup_id;
  struct wire_flow_key key; /* key.subject: the owner's code, also before there is a flow */
  __u8 comm[WIRE_COMM_BYTES];
  __u64 cookie;                /* of a listener */
  __u64 told_ns;               /* when the minute's look last told of it */
  struct wire_endpoint remote; /* of the current UDP flow */
  __u64 sent_packets;
  __u64 received_packets;
  __u16 listening_port; /* of a bound UDP socket; 0: the kernel chose it */
  __u16 pad2[3];
};

/* A place in the table of connections. holder: the socket's cookie above its two lowest bits, 0
 * when the place is free. */
struct connection {
  __u64 holder;
  struct socket_owner socket;
};

/* The name of a TCP listener, by which a connection that it accepted finds its owner. */
struct listener_key {
  __u8 address[16];
  __u32 net; /* the network namespace */
  __u16 port;
  __u16 family; /* that of an accepted socket is its listener's */
};
