/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/connection.h"
#include "bpf/lib/hash.h"
#include "bpf/wire/dns.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define DNS_PORT 53
#define DNS_HEADER_BYTES 12
#define DNS_RCODE 0xf /* of the header's fourth byte */
#define DNS_REPEAT_NS 30000000000ULL
#define IPPROTO_V4_AT 9
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

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

/* A datagram as both directions see it. */
struct datagram {
  __u8 source[16];
  __u8 destination[16];
  __u16 source_port;
  __u16 destination_port;
  __u32 payload_at; /* offset in the packet */
  __u32 payload_bytes;
};

static __always_inline struct socket_owner* own(void* ctx, struct bpf_sock* sk) {
  struct process_context* p = process_current();
  struct socket_owner* o;

  if (!p || !sk) return NULL;
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!o) {
    count_error(WIRE_ERROR_SOCKET_STORAGE);
    return NULL;
  }
  if (o->owner.start_ns == 0) owner_from_process(o, p);
  o->user = p->wire.id;
  return o;
}

static __always_inline void make_key(struct wire_flow_key* key, struct socket_owner* o,
                                     const __u8* remote, __u16 port, __u8 verb) {
  __builtin_memset(key, 0, sizeof(*key));
  key->subject = o->key.subject;
  __builtin_memcpy(key->address, remote, sizeof(key->address));
  key->port = port;
  key->protocol = IPPROTO_UDP;
  key->verb = verb;
  key->prefix = PREFIX_OBJECT;
}

/* From here on the socket talks to another remote. */
static __always_inline void start_flow(struct socket_owner* o, const __u8* remote, __u16 port,
                                       __u32 flags) {
  o->start_ns = bpf_ktime_get_boot_ns();
  o->sent_bytes = 0;
  o->received_bytes = 0;
  o->sent_packets = 0;
  o->received_packets = 0;
  o->flags = (o->flags & SOCKET_LISTENER) | flags;
  __builtin_memset(&o->remote, 0, sizeof(o->remote));
  __builtin_memcpy(o->remote.address, remote, sizeof(o->remote.address));
  o->remote.port = port;
}

/* Is this the flow that the socket was last seen with? */
static __always_inline bool same_remote(struct socket_owner* o, const __u8* address, __u16 port) {
  const __u64* a = (const void*)o->remote.address;
  const __u64* b = (const void*)address;

  return o->remote.port == port && a[0] == b[0] && a[1] == b[1];
}

/* A bound socket that sends to somebody who was heard by it before answers: that belongs to the
 * inbound behaviour and is no act of its own. */
static __always_inline bool is_answer(struct socket_owner* o, const __u8* address, __u16 port) {
  struct lookup l = {.cache = WIRE_CACHE_FLOW};
  struct wire_flow_key key;
  struct governed g;

  if (!(o->flags & SOCKET_LISTENER)) return false;
  make_key(&key, o, address, o->listening_port, WIRE_VERB_ACCEPT);
  governed_by(o->home_cgroup_id, &g);
  look_up_flow(&g, &key, &l);
  if (!l.verdict) return false;
  start_flow(o, address, port, SOCKET_INBOUND);
  o->key = key;
  o->slot.workload = g.key.workload;
  o->slot.generation = g.key.generation;
  o->slot.cache = WIRE_CACHE_FLOW;
  o->slot.slot = l.verdict->slot;
  return true;
}

static __always_inline void send_act(struct bpf_sock_addr* ctx, const __u8* address) {
  struct flow_report f = {.stage = WIRE_FLOW_OPEN};
  struct socket_owner* o = own(ctx, ctx->sk);
  __u16 port = bpf_ntohs(ctx->user_port);
  struct wire_flow_key key;

  if (!o || same_remote(o, address, port) || is_answer(o, address, port)) return;
  make_key(&key, o, address, port, WIRE_VERB_CONNECT);
  start_flow(o, address, port, 0);
  __builtin_memcpy(f.remote.address, address, sizeof(f.remote.address));
  f.remote.port = port;
  f.cookie = bpf_get_socket_cookie(ctx);
  flow_act(o, &key, &f);
}

/* A datagram to an address given with it, IPv4; in the context of the sender. */
SEC("cgroup/sendmsg4")
int udp_send_v4(struct bpf_sock_addr* ctx) {
  __u8 address[16];

  set_v4(address, ctx->user_ip4);
  send_act(ctx, address);
  return 1;
}

/* The same for IPv6 sockets. */
SEC("cgroup/sendmsg6")
int udp_send_v6(struct bpf_sock_addr* ctx) {
  __u32 address[4];

  address[0] = ctx->user_ip6[0];
  address[1] = ctx->user_ip6[1];
  address[2] = ctx->user_ip6[2];
  address[3] = ctx->user_ip6[3];
  send_act(ctx, (const __u8*)address);
  return 1;
}

static __always_inline void bind_act(struct bpf_sock_addr* ctx, const __u8* address) {
  struct flow_report f = {.stage = WIRE_FLOW_LISTENING};
  struct socket_owner* o;
  struct wire_flow_key key;
  __u8 any[16] = {};

  if (ctx->protocol != IPPROTO_UDP) return;
  o = own(ctx, ctx->sk);
  if (!o) return;
  o->listening_port = bpf_ntohs(ctx->user_port);
  make_key(&key, o, any, o->listening_port, WIRE_VERB_LISTEN);
  start_flow(o, any, 0, SOCKET_LISTENER | SOCKET_INBOUND);
  __builtin_memcpy(f.local.address, address, sizeof(f.local.address));
  f.local.port = o->listening_port;
  f.cookie = bpf_get_socket_cookie(ctx);
  flow_act(o, &key, &f);
}

/* bind(2) of a UDP socket, IPv4: it may receive from now on. In the context of the caller, before
 * the kernel binds. Port 0: the kernel picks one. */
SEC("cgroup/bind4")
int udp_bind_v4(struct bpf_sock_addr* ctx) {
  __u8 address[16];

  set_v4(address, ctx->user_ip4);
  bind_act(ctx, address);
  return 1;
}

/* The same for IPv6 sockets. */
SEC("cgroup/bind6")
int udp_bind_v6(struct bpf_sock_addr* ctx) {
  __u32 address[4];

  address[0] = ctx->user_ip6[0];
  address[1] = ctx->user_ip6[1];
  address[2] = ctx->user_ip6[2];
  address[3] = ctx->user_ip6[3];
  bind_act(ctx, (const __u8*)address);
  return 1;
}

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

/* True: it answers a query of this socket with an error. */
static __noinline bool tell_answer(struct __sk_buff* skb, struct datagram* d,
                                   struct socket_owner* o) {
  struct wire_dns_query_key key = {.cookie = bpf_get_socket_cookie(skb)};
  struct dns_pending* pending;
  struct governed g;
  struct wire_dns* r;
  __u32 bytes = d->payload_bytes;
  __u8 flags = 0;
  bool failed;
  __u16 id;

  if (bytes < DNS_HEADER_BYTES || bpf_skb_load_bytes(skb, d->payload_at, &id, sizeof(id)))
    return false;
  key.id = id;
  pending = bpf_map_lookup_elem(&vd_dns_pending, &key);
  if (!pending || pending->resolver.port != d->source_port ||
      __builtin_memcmp(pending->resolver.address, d->source, 16))
    return false;
  failed = !bpf_skb_load_bytes(skb, d->payload_at + 3, &flags, 1) && (flags & DNS_RCODE);
  governed_by(o->home_cgroup_id, &g);
  /* Reserved first: an answer that found no room is not one that was told. */
  r = lane_reserve(WIRE_LANE_FLOW, sizeof(*r));
  if (!r) {
    lane_dropped(WIRE_LANE_FLOW);
    return failed;
  }
  if (!is_answer_new(skb, d, g.key.workload)) {
    bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    bpf_map_delete_elem(&vd_dns_pending, &key);
    return failed;
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
  return failed;
}

/* The socket of a UDP packet; NULL for TCP, which leaves here, and for packets without a socket. */
static __always_inline struct bpf_sock* udp_socket(struct __sk_buff* skb) {
  struct bpf_sock* sk = skb->sk;

  if (!sk) return NULL;
  sk = bpf_sk_fullsock(sk);
  return sk && sk->protocol == IPPROTO_UDP ? sk : NULL;
}

/* A UDP packet leaves; in the sender's context or in softirq. */
SEC("cgroup_skb/egress")
int udp_egress(struct __sk_buff* skb) {
  struct bpf_sock* sk = udp_socket(skb);
  struct socket_owner* o;
  struct wire_count* c;
  struct datagram d;

  if (!sk) return 1;
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  if (!o || !read_datagram(skb, &d)) return 1;
  __sync_fetch_and_add(&o->sent_bytes, d.payload_bytes);
  __sync_fetch_and_add(&o->sent_packets, 1);
  c = flow_count(o);
  if (c) __sync_fetch_and_add(&c->sent_bytes, d.payload_bytes);
  if (d.destination_port == DNS_PORT) note_query(skb, &d, o);
  return 1;
}

/* A datagram from a peer that the socket was not last talking to: an inbound flow. A socket that
 * was never bound gets only answers. */
static __noinline void other_remote(struct __sk_buff* skb, struct datagram* d,
                                    struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_ACCEPTED};
  struct wire_flow_key key;

  if (!(o->flags & SOCKET_LISTENER)) return;
  make_key(&key, o, d->source, o->listening_port, WIRE_VERB_ACCEPT);
  start_flow(o, d->source, d->source_port, SOCKET_INBOUND);
  __builtin_memcpy(f.remote.address, d->source, 16);
  f.remote.port = d->source_port;
  __builtin_memcpy(f.local.address, d->destination, 16);
  f.local.port = d->destination_port;
  f.cookie = bpf_get_socket_cookie(skb);
  flow_act(o, &key, &f);
}

/* A UDP packet arrives; in softirq, so the owner is that of the socket. */
SEC("cgroup_skb/ingress")
int udp_ingress(struct __sk_buff* skb) {
  struct bpf_sock* sk = udp_socket(skb);
  struct socket_owner* o;
  struct wire_count* c;
  struct datagram d;

  if (!sk) return 1;
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  if (!o || !read_datagram(skb, &d)) return 1;
  if (!same_remote(o, d.source, d.source_port)) other_remote(skb, &d, o);
  __sync_fetch_and_add(&o->received_bytes, d.payload_bytes);
  __sync_fetch_and_add(&o->received_packets, 1);
  c = flow_count(o);
  if (c) __sync_fetch_and_add(&c->received_bytes, d.payload_bytes);
  if (d.source_port == DNS_PORT && tell_answer(skb, &d, o) && c)
    __sync_fetch_and_add(&c->failures, 1);
  return 1;
}

/* A socket is closed by its last holder, in that task's context. Of TCP here only what never came
 * to send anything: no change of state tells of its end. */
SEC("cgroup/sock_release")
int udp_release(struct bpf_sock* sk) {
  struct flow_report f = {.stage = WIRE_FLOW_CLOSED};
  struct socket_owner* o;

  if (sk->protocol == IPPROTO_TCP && sk->state == TCP_CLOSE)
    connection_forget(bpf_get_socket_cookie(sk));
  if (sk->protocol != IPPROTO_UDP) return 1;
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  if (o && o->start_ns) {
    f.remote = o->remote;
    f.cookie = bpf_get_socket_cookie(sk);
    flow_follow_up(o, &f);
  }
  return 1;
}
