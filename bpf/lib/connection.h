/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Where TCP sockets keep their owner. A socket's own storage is allocated, copied at accept and
 * freed, each dearer than all that is looked up for a connection; so connections have places in a
 * table by cookie, and listeners a name. Whoever finds no place or has no name gets storage: dearer
 * and as exact. docs/adr/0005-tcp-owners-in-a-table.md */

#include "bpf/lib/flavors.h"
#include "bpf/lib/flow.h"

#define CONNECTION_WAYS 4
#define CONNECTION_STRIDE 1031

/* The minute's look is at this place: it must not be given to another socket. */
#define HOLDER_IS_READ 1ULL
/* The socket has closed meanwhile: the look gives the place back. */
#define HOLDER_IS_GONE 2ULL

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE 7
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10

static const struct socket_owner blank_owner;

static __always_inline struct connection* connection_at(__u64 cookie, __u32 way) {
  __u32 place = (__u32)(cookie + way * CONNECTION_STRIDE) & (CONNECTIONS - 1);

  return bpf_map_lookup_elem(&vd_connections, &place);
}

static __always_inline struct connection* connection_find(__u64 cookie) {
  if (!cookie) return NULL;
  for (__u32 way = 0; way < CONNECTION_WAYS; way++) {
    struct connection* c = connection_at(cookie, way);

    if (c && (c->holder & ~HOLDER_IS_READ) == cookie << 2) return c;
  }
  return NULL;
}

/* A place for a socket: its own, or the first that is free. Own and stale can only be one that a
 * refused connect left, and the socket's release gives it back. NULL: all are taken. */
static __always_inline struct connection* connection_take(__u64 cookie) {
  struct connection* c = connection_find(cookie);

  if (c) return c;
  for (__u32 way = 0; way < CONNECTION_WAYS; way++) {
    c = connection_at(cookie, way);
    if (!c) return NULL;
    if (!c->holder && !__sync_val_compare_and_swap(&c->holder, 0, cookie << 2)) return c;
  }
  return NULL;
}

/* The socket gives its place back; while the minute's look is at it, the look does. Whoever comes
 * second does nothing: the place may be another socket's by then. */
static __always_inline void connection_leave(struct connection* c, __u64 cookie) {
  __u64 own = cookie << 2;

  if ((c->holder & ~HOLDER_IS_READ) != own) return;
  /* So that the look sees nothing open between the next socket's taking and its beginning. */
  c->socket.flags = 0;
  if (__sync_val_compare_and_swap(&c->holder, own, 0) == own) return;
  if (__sync_val_compare_and_swap(&c->holder, own | HOLDER_IS_READ,
                                  own | HOLDER_IS_READ | HOLDER_IS_GONE) == (own | HOLDER_IS_READ))
    return;
  /* The look has left in between. */
  __sync_val_compare_and_swap(&c->holder, own, 0);
}

/* Holds a place for the minute's look. False: the socket has closed, or is being looked at. */
static __always_inline bool connection_hold(struct connection* c, __u64 cookie) {
  return __sync_val_compare_and_swap(&c->holder, cookie << 2, cookie << 2 | HOLDER_IS_READ) ==
         cookie << 2;
}

static __always_inline void connection_release(struct connection* c, __u64 cookie) {
  __u64 read = cookie << 2 | HOLDER_IS_READ;

  if (__sync_val_compare_and_swap(&c->holder, read, cookie << 2) != read) c->holder = 0;
}

/* A socket that closes, or that was never connected, leaves the table. */
static __always_inline void connection_forget(__u64 cookie) {
  struct connection* c = connection_find(cookie);

  if (c) connection_leave(c, cookie);
}

/* Room for the owner of a TCP socket; what it held before is still there. sk is of the type that
 * the calling program's storage takes. NULL, counted: there is no memory. */
static __always_inline struct socket_owner* connection_make(void* sk, __u64 cookie) {
  struct connection* c = connection_take(cookie);
  struct socket_owner* o;

  if (c) return &c->socket;
  count_error(WIRE_ERROR_NO_PLACE);
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!o) count_error(WIRE_ERROR_SOCKET_STORAGE);
  return o;
}

/* From here on the socket is that of a new connection, or of a listener. */
static __always_inline void connection_begin(struct socket_owner* o, __u32 flags) {
  o->start_ns = bpf_ktime_get_boot_ns();
  o->sent_bytes = 0;
  o->received_bytes = 0;
  o->retransmits = 0;
  o->flags = flags;
  o->told_ns = 0;
}

/* The owner of a TCP socket that a tracing program or an iterator was given. */
static __always_inline struct socket_owner* connection_owner(struct sock* sk) {
  struct connection* c = connection_find(sk->__sk_common.skc_cookie.counter);

  return c ? &c->socket : bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
}

/* The name of a listener as it stands itself, or of the one that accepted sk, at this port. */
static __always_inline void listener_name(struct sock* sk, __u16 port, struct listener_key* key) {
  __builtin_memset(key, 0, sizeof(*key));
  key->family = sk->__sk_common.skc_family;
  key->net = sk->__sk_common.skc_net.net->ns.inum;
  key->port = port;
  if (key->family == AF_INET6)
    bpf_core_read(key->address, 16, &sk->__sk_common.skc_v6_rcv_saddr);
  else
    set_v4(key->address, sk->__sk_common.skc_rcv_saddr);
}

static __always_inline bool is_mapped_any(const struct listener_key* key) {
  const __u64* a = (const void*)key->address;

  return key->family == AF_INET6 && !a[0] && a[1] == bpf_cpu_to_be64(0xffff00000000ULL);
}

static __always_inline bool is_transparent(struct sock* sk) {
  struct inet_sock___flags* newer = (void*)sk;
  struct inet_sock___bits* older = (void*)sk;

  if (bpf_core_field_exists(newer->inet_flags))
    return BPF_CORE_READ(newer, inet_flags) & 1UL << INET_FLAGS_TRANSPARENT;
  return BPF_CORE_READ_BITFIELD_PROBED(older, transparent);
}

/* Room for the owner of a listener: under its name where what it accepts has that name too, else in
 * its storage, of which each accepted socket gets a copy. The second of two listeners with one name
 * (SO_REUSEPORT) is such a one, and so are those that accept for other addresses than their own, or
 * on one device. */
static __always_inline struct socket_owner* listener_make(struct sock* sk) {
  struct socket_owner* o;
  struct listener_key key;

  listener_name(sk, sk->__sk_common.skc_num, &key);
  if (key.port && !sk->__sk_common.skc_bound_dev_if && !is_mapped_any(&key) &&
      !is_transparent(sk) && !bpf_map_update_elem(&vd_listeners, &key, &blank_owner, BPF_NOEXIST)) {
    o = bpf_map_lookup_elem(&vd_listeners, &key);
    if (o) return o;
  }
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!o) count_error(WIRE_ERROR_SOCKET_STORAGE);
  return o;
}

static __always_inline void listener_forget(struct sock* sk) {
  struct socket_owner* o;
  struct listener_key key;

  /* skc_num is 0 already. */
  listener_name(sk, bpf_ntohs(BPF_CORE_READ((struct inet_sock*)sk, inet_sport)), &key);
  o = bpf_map_lookup_elem(&vd_listeners, &key);
  if (o && o->cookie == (__u64)sk->__sk_common.skc_cookie.counter)
    bpf_map_delete_elem(&vd_listeners, &key);
}

/* The listener that accepted sk, by the address it was reached at or by any. */
static __always_inline struct socket_owner* listener_of(struct sock* sk) {
  struct socket_owner* o;
  struct listener_key key;

  listener_name(sk, sk->__sk_common.skc_num, &key);
  o = bpf_map_lookup_elem(&vd_listeners, &key);
  if (o) return o;
  if (key.family == AF_INET6)
    __builtin_memset(key.address, 0, sizeof(key.address));
  else
    set_v4(key.address, 0);
  return bpf_map_lookup_elem(&vd_listeners, &key);
}
