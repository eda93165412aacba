/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/connection.h"

#define IPPROTO_V4_AT 9
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

/* A datagram as both directions see it. */
struct datagram {
  __u8 source[16];
  __u8 destination[16];
  __u16 source_port;
  __u16 destination_port;
  __u32 payload_at; /* offset in the packet */
  __u32 payload_bytes;
};

/* Reads the headers of a UDP packet without extension headers. False for anything else. */
static __always_inline bool read_datagram(struct __sk_buff* skb, struct datagram* d) {
  __u16 ports[4];
  __u8 next;

  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    __u8 first;
    __u32 v4[2];

    if (bpf_skb_load_bytes(skb, IPPROTO_V4_AT, &next, 1) || next != IPPROTO_UDP ||
        bpf_skb_load_bytes(skb, 0, &first, 1) || bpf_skb_load_bytes(skb, 12, v4, sizeof(v4)))
      return false;
    set_v4(d->source, v4[0]);
    set_v4(d->destination, v4[1]);
    d->payload_at = (first & 0xf) * 4;
  } else {
    if (bpf_skb_load_bytes(skb, 6, &next, 1) || next != IPPROTO_UDP ||
        bpf_skb_load_bytes(skb, 8, d->source, 16) ||
        bpf_skb_load_bytes(skb, 24, d->destination, 16))
      return false;
    d->payload_at = 40;
  }
  if (bpf_skb_load_bytes(skb, d->payload_at, ports, sizeof(ports))) return false;
  d->source_port = bpf_ntohs(ports[0]);
  d->destination_port = bpf_ntohs(ports[1]);
  d->payload_bytes = bpf_ntohs(ports[2]);
  if (d->payload_bytes < 8) return false;
  d->payload_bytes -= 8;
  d->payload_at += 8;
  return true;
}
