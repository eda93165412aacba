/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* DNS over UDP, by the socket that asks: a query waits in a table for its answer, and an answer is
 * told once. */

#include "bpf/lib/datagram.h"
#include "bpf/lib/hash.h"
#include "bpf/wire/dns.h"

#define DNS_PORT 53
#define DNS_HEADER_BYTES 12
#define DNS_RCODE 0xf /* of the header's fourth byte */
#define DNS_REPEAT_NS 30000000000ULL

struct dns_pending {
  struct wire_endpoint resolver;
  __u32 bytes;
  __u32 number; /* among its workload's queries */
  __u8 query[WIRE_DNS_QUERY_BYTES];
};

/* Queries that wait for their answer. No LRU: nobody may push out the query of another workload.
 * Room for 256 workloads that wait for all that they may. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 256 * WIRE_DNS_SHARE);
  __type(key, struct wire_dns_query_key);
  __type(value, struct dns_pending);
} vd_dns_pending SEC(".maps");

/* Which of them are whose. The agent removes those of a workload that is gone. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u64); /* workload number */
  __type(value, struct wire_dns_share);
} vd_dns_shares SEC(".maps");

static const struct wire_dns_share blank_share;

struct dns_told_key {
  __u64 workload;
  __u64 hash; /* keyed, of the resolver, which may not be trusted, and its answer without the id */
};

/* Answers told in the last half minute: the same one is not told again. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct dns_told_key);
  __type(value, __u64);
} vd_dns_told SEC(".maps");

/* Gives the query a place in its workload's share; who was there makes room. False: no memory. */
static __noinline bool take_share(struct socket_owner* o, struct wire_dns_query_key* key,
                                  __u32* number) {
  struct wire_dns_query_key old;
  struct wire_dns_share* share;
  struct dns_pending* pending;
  struct governed g;
  __u32 at;

  governed_by(o->home_cgroup_id, &g);
  share = bpf_map_lookup_elem(&vd_dns_shares, &g.key.workload);
  if (!share) {
    bpf_map_update_elem(&vd_dns_shares, &g.key.workload, &blank_share, BPF_NOEXIST);
    share = bpf_map_lookup_elem(&vd_dns_shares, &g.key.workload);
    if (!share) return false;
  }
  *number = __sync_fetch_and_add(&share->next, 1);
  at = *number & (WIRE_DNS_SHARE - 1);
  old = share->keys[at];
  share->keys[at] = *key;
  if (!old.cookie) return true;
  pending = bpf_map_lookup_elem(&vd_dns_pending, &old);
  /* The same socket may have asked with the same id again; that query has a later number. */
  if (pending && pending->number == *number - WIRE_DNS_SHARE &&
      !bpf_map_delete_elem(&vd_dns_pending, &old))
    count_error(WIRE_ERROR_DNS_QUERY);
  return true;
}

static __noinline void note_query(struct __sk_buff* skb, struct datagram* d,
                                  struct socket_owner* o) {
  struct dns_pending pending = {};
  struct wire_dns_query_key key = {.cookie = bpf_get_socket_cookie(skb)};
  __u32 bytes = d->payload_bytes;
  __u16 id;

  if (bytes < DNS_HEADER_BYTES) return;
  if (bytes > sizeof(pending.query)) bytes = sizeof(pending.query);
  if (bpf_skb_load_bytes(skb, d->payload_at, pending.query, bytes)) return;
  __builtin_memcpy(&id, pending.query, sizeof(id));
  key.id = id;
  __builtin_memcpy(pending.resolver.address, d->destination, 16);
  pending.resolver.port = d->destination_port;
  pending.bytes = bytes;
  if (!take_share(o, &key, &pending.number) ||
      bpf_map_update_elem(&vd_dns_pending, &key, &pending, BPF_ANY))
    count_error(WIRE_ERROR_DNS_QUERY);
}

/* True once in half a minute for the same answer to the same workload. */
static __always_inline bool is_answer_new(struct __sk_buff* skb, struct datagram* d,
                                          __u64 workload) {
  struct dns_told_key key = {.workload = workload};
  __u64 words[HASH_INPUT_WORDS] = {};
  __u64 now;
  /* Without the id, and one less: so the range that the verifier knows does not begin at 0. */
  __u32 bytes = d->payload_bytes - 3;
  __u64* told;

  __builtin_memcpy(words, d->source, sizeof(d->source));
  /* A longer answer is told every time: a part of it says nothing of the rest. */
  barrier_var(bytes);
  if (bytes >= sizeof(words) - sizeof(d->source)) return true;
  if (bpf_skb_load_bytes(skb, d->payload_at + 2, &words[2], ++bytes)) return true;
  key.hash = keyed_hash(words, bytes + sizeof(d->source));
  now = bpf_ktime_get_boot_ns();
  told = bpf_map_lookup_elem(&vd_dns_told, &key);
  if (told && now - *told < DNS_REPEAT_NS) return false;
  bpf_map_update_elem(&vd_dns_told, &key, &now, BPF_ANY);
  return true;
}

/* The error with which it answers a query of this socket; else 0. */
static __noinline __u8 tell_answer(struct __sk_buff* skb, struct datagram* d,
                                   struct socket_owner* o) {
  struct wire_dns_query_key key = {.cookie = bpf_get_socket_cookie(skb)};
  struct dns_pending* pending;
  struct governed g;
  struct wire_dns* r;
  __u32 bytes = d->payload_bytes;
  __u8 flags = 0;
  __u16 id;

  if (bytes < DNS_HEADER_BYTES || bpf_skb_load_bytes(skb, d->payload_at, &id, sizeof(id))) return 0;
  key.id = id;
  pending = bpf_map_lookup_elem(&vd_dns_pending, &key);
  if (!pending || pending->resolver.port != d->source_port ||
      __builtin_memcmp(pending->resolver.address, d->source, 16))
    return 0;
  /* Zero if it cannot be read. */
  bpf_skb_load_bytes(skb, d->payload_at + 3, &flags, 1);
  flags &= DNS_RCODE;
  governed_by(o->home_cgroup_id, &g);
  /* Reserved first: an answer that found no room is not one that was told. */
  r = lane_reserve(WIRE_LANE_FLOW, sizeof(*r));
  if (!r) {
    lane_dropped(WIRE_LANE_FLOW);
    return flags;
  }
  if (!is_answer_new(skb, d, g.key.workload)) {
    bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    bpf_map_delete_elem(&vd_dns_pending, &key);
    return flags;
  }
  FILL_HEADER(r, DNS);
  r->header.lane = WIRE_LANE_FLOW;
  r->header.reason = WIRE_REASON_CONTEXT;
  r->header.slot.workload = g.key.workload;
  fill_owner(&r->process, o);
  r->process.workload = g.key.workload;
  __builtin_memset(&r->local, 0, sizeof(r->local));
  __builtin_memcpy(r->local.address, d->destination, 16);
  r->local.port = d->destination_port;
  r->resolver = pending->resolver;
  r->cookie = key.cookie;
  r->query_bytes = pending->bytes;
  __builtin_memcpy(r->query, pending->query, sizeof(r->query));
  __builtin_memset(r->pad, 0, sizeof(r->pad));
  r->answer_cut = bytes > sizeof(r->answer);
  barrier_var(bytes);
  if (bytes > sizeof(r->answer)) bytes = sizeof(r->answer);
  r->answer_bytes = bytes;
  if (bpf_skb_load_bytes(skb, d->payload_at, r->answer, bytes)) r->answer_bytes = 0;
  lane_submit(WIRE_LANE_FLOW, &r->header, false);
  bpf_map_delete_elem(&vd_dns_pending, &key);
  return flags;
}
