/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/tcp.h"
#include "bpf/lib/actor.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10

static __always_inline void tcp_established(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_ESTABLISHED};
  struct wire_count* c = flow_count(o);
  __u64 took = bpf_ktime_get_boot_ns() - o->start_ns;
  __u32 bucket = 0;

  o->flags |= SOCKET_OPEN;
  for (; bucket < WIRE_LATENCY_BUCKETS - 1; bucket++)
    if (took < (64000ULL << bucket)) break;
  if (c) __sync_fetch_and_add(&c->latency[bucket & (WIRE_LATENCY_BUCKETS - 1)], 1);
  if (!may_be_told(o)) return;
  read_endpoints(sk, &f);
  f.cookie = bpf_get_socket_cookie(sk);
  flow_follow_up(o, &f);
}

static __always_inline void tcp_failed(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_FAILED};
  struct wire_count* c = flow_count(o);

  if (c) __sync_fetch_and_add(&c->failures, 1);
  read_endpoints(sk, &f);
  f.cookie = bpf_get_socket_cookie(sk);
  f.error = sk->sk_err;
  flow_follow_up(o, &f);
}

/* An inbound connection; in softirq, so the owner is that of the listener, from which the socket
 * inherited its storage. */
static __always_inline void tcp_accepted(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_ACCEPTED};
  __u16 listening_port = o->key.port; /* 0: the kernel chose it */

  read_endpoints(sk, &f);
  o->flags = SOCKET_INBOUND | SOCKET_OPEN;
  o->user.start_ns = 0;
  o->user.tgid = 0;
  o->start_ns = bpf_ktime_get_boot_ns();
  __builtin_memset(&o->key, 0, sizeof(o->key));
  o->key.subject = o->code;
  __builtin_memcpy(o->key.address, f.remote.address, sizeof(o->key.address));
  o->key.port = listening_port;
  o->key.protocol = IPPROTO_TCP;
  o->key.verb = WIRE_VERB_ACCEPT;
  o->key.prefix = PREFIX_OBJECT;
  f.cookie = bpf_get_socket_cookie(sk);
  flow_act(o, &o->key, &f);
}

/* listen(2), also without bind: then the kernel picks the port after this, and it is 0 here. A port
 * that the kernel picked is not part of the behaviour. */
static __always_inline void tcp_listening(struct sock* sk) {
  struct flow_report f = {.stage = WIRE_FLOW_LISTENING};
  struct socket_owner* o;

  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!o) {
    count_error(WIRE_ERROR_SOCKET_STORAGE);
    return;
  }
  read_endpoints(sk, &f);
  own_socket(o);
  o->flags = SOCKET_LISTENER | SOCKET_INBOUND;
  o->start_ns = bpf_ktime_get_boot_ns();
  __builtin_memset(&o->key, 0, sizeof(o->key));
  o->key.subject = o->code;
  if (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK) o->key.port = f.local.port;
  o->key.protocol = IPPROTO_TCP;
  o->key.verb = WIRE_VERB_LISTEN;
  o->key.prefix = PREFIX_OBJECT;
  f.cookie = bpf_get_socket_cookie(sk);
  flow_act(o, &o->key, &f);
}

static __always_inline void tcp_closed(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_CLOSED};

  take_totals(sk, o, &f);
  o->flags &= ~SOCKET_OPEN;
  flow_follow_up(o, &f);
}

/* Every change of state of a TCP socket; in the caller's context for connect and listen, else
 * mostly in softirq. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock* sk, int old_state, int new_state) {
  struct socket_owner* o;

  if (sk->sk_protocol != IPPROTO_TCP) return 0;
  if (new_state == TCP_LISTEN) {
    tcp_listening(sk);
    return 0;
  }
  if (new_state != TCP_ESTABLISHED && new_state != TCP_CLOSE) return 0;
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  if (!o) {
    if (old_state != TCP_CLOSE) count_error(WIRE_ERROR_NO_SOCKET_OWNER);
    return 0;
  }
  if (new_state == TCP_ESTABLISHED) {
    if (old_state == TCP_SYN_RECV && (o->flags & SOCKET_LISTENER))
      tcp_accepted(sk, o);
    else
      tcp_established(sk, o);
  } else if (old_state == TCP_SYN_SENT) {
    tcp_failed(sk, o);
  } else if (o->flags & SOCKET_OPEN) {
    tcp_closed(sk, o);
  }
  return 0;
}
