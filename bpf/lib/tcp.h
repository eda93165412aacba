/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What a TCP socket of the kernel says of its connection. */

#include "bpf/lib/connection.h"

/* Bit of skc_flags: the peer's FIN was received. */
#define SOCK_DONE 1

static __always_inline void read_addresses(struct sock* sk, struct flow_report* f) {
  if (sk->__sk_common.skc_family == AF_INET6) {
    bpf_core_read(f->local.address, 16, &sk->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(f->remote.address, 16, &sk->__sk_common.skc_v6_daddr);
  } else {
    set_v4(f->local.address, sk->__sk_common.skc_rcv_saddr);
    set_v4(f->remote.address, sk->__sk_common.skc_daddr);
  }
  f->remote.port = bpf_ntohs(sk->__sk_common.skc_dport);
}

static __always_inline void read_endpoints(struct sock* sk, struct flow_report* f) {
  read_addresses(sk, f);
  /* skc_num, its twin, is 0 already when a socket closes; but a probe read is dear. */
  f->local.port = bpf_ntohs(BPF_CORE_READ((struct inet_sock*)sk, inet_sport));
}

/* A total can be taken by a close and by the minute's look at once. */
#define TIMES_RAISED 3

/* Raises a total that only grows to what it is now; returns by how much. Whoever comes second, or
 * looked earlier, has nothing left to add. */
static __always_inline __u64 raise_total(volatile __u64* total, __u64 now) {
  for (int i = 0; i < TIMES_RAISED; i++) {
    __u64 old = *total;

    if (now <= old) return 0;
    if (__sync_val_compare_and_swap(total, old, now) == old) return now - old;
  }
  return 0;
}

/* How many bounds of buckets it reached, by the sign of what is left to each: without a branch, for
 * the verifier would go on from each bucket by itself. */
static __always_inline __u32 latency_bucket(__u64 took_ns) {
  __u64 bucket = 0;

  for (int i = 0; i < WIRE_LATENCY_BUCKETS - 1; i++) {
    __u64 left = (64000ULL << i) - 1 - took_ns;

    barrier_var(left); /* else the compiler makes a branch of it */
    bucket += left >> 63;
  }
  return bucket;
}

/* The one measurement of a connection, for whoever asks first: how long connecting took, or, of one
 * that was accepted, the kernel's smoothed round trip by now. False: there is none, or not yet, as
 * the kernel measures nothing of a handshake with SYN cookies. */
static __always_inline bool take_latency(struct tcp_sock* tp, struct socket_owner* o,
                                         __u32* bucket) {
  __u32 flags = o->flags;

  if (!(flags & SOCKET_HAS_LATENCY)) return false;
  *bucket = (flags >> SOCKET_LATENCY_SHIFT) & (WIRE_LATENCY_BUCKETS - 1);
  if (flags & SOCKET_INBOUND) {
    if (!tp->srtt_us) return false;
    /* In eighths of a microsecond. */
    *bucket = latency_bucket(tp->srtt_us * 125ULL) & (WIRE_LATENCY_BUCKETS - 1);
  }
  return __sync_fetch_and_and(&o->flags, ~SOCKET_HAS_LATENCY) & SOCKET_HAS_LATENCY;
}

/* Brings the totals of o up to what the kernel has, and adds the difference to its behaviour. */
static __always_inline void take_totals(struct sock* sk, struct socket_owner* o,
                                        struct flow_report* f) {
  struct tcp_sock* tp = bpf_skc_to_tcp_sock(sk);
  struct wire_count* c;
  __u64 sent, received, retransmits;
  bool has_latency;
  __u32 bucket = 0;

  if (!tp) return;
  received = tp->bytes_received;
  /* The kernel counts the peer's FIN as a byte, since it has a sequence number. */
  if (received && (sk->__sk_common.skc_flags & (1UL << SOCK_DONE))) received--;
  sent = raise_total(&o->sent_bytes, tp->bytes_sent - tp->bytes_retrans);
  received = raise_total(&o->received_bytes, received);
  retransmits = raise_total(&o->retransmits, tp->total_retrans);
  has_latency = take_latency(tp, o, &bucket);
  c = sent || received || retransmits || has_latency ? flow_count(o) : NULL;
  if (c) {
    if (sent) __sync_fetch_and_add(&c->sent_bytes, sent);
    if (received) __sync_fetch_and_add(&c->received_bytes, received);
    if (retransmits) __sync_fetch_and_add(&c->retransmits, retransmits);
    if (has_latency) __sync_fetch_and_add(&c->latency[bucket], 1);
  }
  if (!may_be_told(o)) return;
  o->sent_packets = tp->segs_out;
  o->received_packets = tp->segs_in;
  f->smoothed_rtt_us = tp->srtt_us >> 3;
  f->cookie = bpf_get_socket_cookie(sk);
  read_endpoints(sk, f);
}
