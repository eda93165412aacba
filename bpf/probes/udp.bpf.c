/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/dns.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define IPPROTO_UDPLITE 136

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

/* What the socket does from here on belongs to this behaviour, which is known. */
static __always_inline void take_up_flow(struct socket_owner* o, const struct wire_flow_key* key,
                                         const struct governed* g, const struct lookup* l) {
  o->key = *key;
  o->slot.workload = g->key.workload;
  o->slot.generation = g->key.generation;
  o->slot.cache = l->cache;
  o->slot.slot = l->verdict->slot;
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
  struct lookup l = {.cache = WIRE_CACHE_INBOUND};
  struct wire_flow_key key;
  struct governed g;

  if (!(o->flags & SOCKET_LISTENER)) return false;
  make_key(&key, o, address, o->listening_port, WIRE_VERB_ACCEPT);
  governed_by(o->home_cgroup_id, &g);
  look_up_flow(&g, &key, &l);
  if (!l.verdict) return false;
  start_flow(o, address, port, SOCKET_INBOUND);
  take_up_flow(o, &key, &g, &l);
  return true;
}

/* The cache of what a bound socket sends to somebody of whom the inbound one does not say that he
 * was heard. When that is full it cannot say so, and then this shares its lack of room: else each
 * answer to a peer that found none would take some from what the workload does by itself. */
static __noinline __u32 cache_of_sent(struct socket_owner* o, struct wire_flow_key* key) {
  struct lookup l = {.cache = WIRE_CACHE_FLOW};
  struct governed g;

  if (!(o->flags & SOCKET_LISTENER)) return WIRE_CACHE_FLOW;
  governed_by(o->home_cgroup_id, &g);
  if (!g.workload || !g.workload->overflowed[WIRE_CACHE_INBOUND]) return WIRE_CACHE_FLOW;
  look_up_flow(&g, key, &l);
  return l.verdict ? WIRE_CACHE_FLOW : WIRE_CACHE_INBOUND;
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
  flow_act(o, &key, &f, cache_of_sent(o, &key));
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
  flow_act(o, &key, &f, WIRE_CACHE_FLOW);
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

/* The socket of a UDP packet; NULL for TCP, which leaves here, and for packets without a socket.
 * UDP-Lite is not read, and counted. */
static __always_inline struct bpf_sock* udp_socket(struct __sk_buff* skb) {
  struct bpf_sock* sk = skb->sk;

  if (!sk) return NULL;
  sk = bpf_sk_fullsock(sk);
  if (!sk || sk->protocol == IPPROTO_UDP) return sk;
  if (sk->protocol == IPPROTO_UDPLITE) count_error(WIRE_ERROR_DATAGRAM);
  return NULL;
}

/* The owner of the socket of a packet that can be read. NULL, counted: what it carries is not seen.
 */
static __always_inline struct socket_owner* owner_of_packet(struct __sk_buff* skb,
                                                            struct bpf_sock* sk,
                                                            struct datagram* d) {
  struct socket_owner* o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);

  if (o && read_datagram(skb, d)) return o;
  count_error(WIRE_ERROR_DATAGRAM);
  return NULL;
}

/* A UDP packet leaves; in the sender's context or in softirq. */
SEC("cgroup_skb/egress")
int udp_egress(struct __sk_buff* skb) {
  struct bpf_sock* sk = udp_socket(skb);
  struct socket_owner* o;
  struct wire_count* c;
  struct datagram d;

  if (!sk) return 1;
  o = owner_of_packet(skb, sk, &d);
  if (!o) return 1;
  __sync_fetch_and_add(&o->sent_bytes, d.payload_bytes);
  __sync_fetch_and_add(&o->sent_packets, 1);
  c = flow_count(o);
  if (c) __sync_fetch_and_add(&c->sent_bytes, d.payload_bytes);
  if (d.destination_port == DNS_PORT) note_query(skb, &d, o);
  return 1;
}

/* A socket that was never bound hears from somebody it sent to before the latest: that belongs to
 * the outbound behaviour and is no act of its own. */
static __noinline bool is_reply(struct socket_owner* o, struct datagram* d) {
  struct lookup l = {.cache = WIRE_CACHE_FLOW};
  struct wire_flow_key key;
  struct governed g;

  if (o->flags & SOCKET_LISTENER) return false;
  make_key(&key, o, d->source, d->source_port, WIRE_VERB_CONNECT);
  governed_by(o->home_cgroup_id, &g);
  look_up_flow(&g, &key, &l);
  if (!l.verdict) return false;
  take_up_flow(o, &key, &g, &l);
  start_flow(o, d->source, d->source_port, 0);
  return true;
}

/* A datagram from a peer that the socket was not last talking to: an inbound flow. The port of a
 * socket that was never bound is one that the kernel chose, so it is 0. */
static __noinline void other_remote(struct __sk_buff* skb, struct datagram* d,
                                    struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_ACCEPTED};
  struct wire_flow_key key;

  make_key(&key, o, d->source, o->listening_port, WIRE_VERB_ACCEPT);
  start_flow(o, d->source, d->source_port, SOCKET_INBOUND);
  __builtin_memcpy(f.remote.address, d->source, 16);
  f.remote.port = d->source_port;
  __builtin_memcpy(f.local.address, d->destination, 16);
  f.local.port = d->destination_port;
  f.cookie = bpf_get_socket_cookie(skb);
  flow_act(o, &key, &f, WIRE_CACHE_INBOUND);
}

/* A UDP packet arrives; in softirq, so the owner is that of the socket. */
SEC("cgroup_skb/ingress")
int udp_ingress(struct __sk_buff* skb) {
  struct bpf_sock* sk = udp_socket(skb);
  struct socket_owner* o;
  struct wire_count* c;
  struct datagram d;

  if (!sk) return 1;
  o = owner_of_packet(skb, sk, &d);
  if (!o) return 1;
  /* Of a connected socket the kernel has let only the peer through, maybe under another address. */
  if (!same_remote(o, d.source, d.source_port) && sk->state != TCP_ESTABLISHED && !is_reply(o, &d))
    other_remote(skb, &d, o);
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
