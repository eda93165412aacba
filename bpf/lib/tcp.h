/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What a TCP socket of the kernel says of its connection. */

#include "bpf/lib/flow.h"

/* Bit of skc_flags: the peer's FIN was received. */
#define SOCK_DONE 1

static __always_inline void read_endpoints(struct sock* sk, struct flow_report* f) {
  if (sk->__sk_common.skc_family == AF_INET6) {
    bpf_core_read(f->local.address, 16, &sk->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(f->remote.address, 16, &sk->__sk_common.skc_v6_daddr);
  } else {
    set_v4(f->local.address, sk->__sk_common.skc_rcv_saddr);
    set_v4(f->remote.address, sk->__sk_common.skc_daddr);
  }
  /* skc_num, its twin, is 0 already when a socket closes. */
  f->local.port = bpf_ntohs(BPF_CORE_READ((struct inet_sock*)sk, inet_sport));
  f->remote.port = bpf_ntohs(sk->__sk_common.skc_dport);
}

/* Brings the totals of o up to what the kernel has, and adds the difference to its behaviour. */
static __always_inline void take_totals(struct sock* sk, struct socket_owner* o,
                                        struct flow_report* f) {
  struct tcp_sock* tp = bpf_skc_to_tcp_sock(sk);
  struct wire_count* c = flow_count(o);
  __u64 sent, received;
  __u32 retransmits;

  if (!tp) return;
  sent = tp->bytes_sent - tp->bytes_retrans;
  received = tp->bytes_received;
  retransmits = tp->total_retrans;
  /* The kernel counts the peer's FIN as a byte, since it has a sequence number. */
  if (received && (sk->__sk_common.skc_flags & (1UL << SOCK_DONE))) received--;
  if (c) {
    __sync_fetch_and_add(&c->sent_bytes, sent - o->sent_bytes);
    __sync_fetch_and_add(&c->received_bytes, received - o->received_bytes);
    __sync_fetch_and_add(&c->retransmits, retransmits - o->retransmits);
  }
  o->sent_bytes = sent;
  o->received_bytes = received;
  o->sent_packets = tp->segs_out;
  o->received_packets = tp->segs_in;
  o->retransmits = retransmits;
  if (!may_be_told(o)) return;
  f->smoothed_rtt_us = tp->srtt_us >> 3;
  f->cookie = bpf_get_socket_cookie(sk);
  read_endpoints(sk, f);
}
