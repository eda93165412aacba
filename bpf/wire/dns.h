/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/flow.h"

#define WIRE_DNS_QUERY_BYTES 288
#define WIRE_DNS_ANSWER_BYTES 1232

/* An answer that came on the socket, from the resolver and with the id of a query; with that query.
 * The question is compared in user space. Payloads start at the DNS header. */
struct wire_dns {
  struct wire_header header;
  struct wire_process process;
  struct wire_endpoint local;
  struct wire_endpoint resolver;
  __u64 cookie;
  __u16 query_bytes;
  __u16 answer_bytes;
  __u8 answer_cut;
  __u8 pad[3];
  __u8 query[WIRE_DNS_QUERY_BYTES];
  __u8 answer[WIRE_DNS_ANSWER_BYTES];
};
WIRE_LAYOUT(struct wire_dns, 2400);

/* Names a query while it waits for its answer. */
struct wire_dns_query_key {
  __u64 cookie;
  __u32 id;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_dns_query_key, 16);

#define WIRE_DNS_SHARE 64

/* The latest queries of one workload. Query number n is at n % WIRE_DNS_SHARE, and the one that was
 * there waits no longer. */
struct wire_dns_share {
  __u32 next;
  __u32 pad;
  struct wire_dns_query_key keys[WIRE_DNS_SHARE];
};
WIRE_LAYOUT(struct wire_dns_share, 1032);
