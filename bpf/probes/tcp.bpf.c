/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/tcp.h"
#include "bpf/lib/actor.h"
#include "bpf/lib/tcp_pair.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* How long it took is counted when the connection ends, or lasts, together with all else. */
static __always_inline void tcp_established(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_ESTABLISHED};
  __u32 bucket = latency_bucket(bpf_ktime_get_boot_ns() - o->start_ns);

  o->flags |= SOCKET_OPEN | SOCKET_HAS_LATENCY | bucket << SOCKET_LATENCY_SHIFT;
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

/* An inbound connection; in softirq, so the owner is that of the listener. */
static __always_inline void tcp_accepted(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_ACCEPTED};

  read_addresses(sk, &f);
  f.local.port = sk->__sk_common.skc_num;
  connection_begin(o, SOCKET_INBOUND | SOCKET_OPEN | SOCKET_HAS_LATENCY);
  o->user.start_ns = 0;
  o->user.tgid = 0;
  /* key.port stays as it was in the listener's; 0: the kernel chose it. */
  __builtin_memcpy(o->key.address, f.remote.address, sizeof(o->key.address));
  o->key.protocol = IPPROTO_TCP;
  o->key.verb = WIRE_VERB_ACCEPT;
  o->key.prefix = PREFIX_OBJECT;
  f.cookie = bpf_get_socket_cookie(sk);
  flow_act(o, &o->key, &f, WIRE_CACHE_INBOUND);
}

/* The owner of a socket that was just accepted: in its copy of the listener's storage, or found by
 * the listener's name. NULL, counted, when it is not known or cannot be stored. */
static __always_inline struct socket_owner* owner_of_accepted(struct sock* sk) {
  struct socket_owner* o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  struct socket_owner* listener;

  /* Without the mark it is what the listener left of a connection that it had before. */
  if (o && (o->flags & SOCKET_LISTENER)) return o;
  listener = listener_of(sk);
  if (!listener) {
    count_error(WIRE_ERROR_NO_SOCKET_OWNER);
    return NULL;
  }
  o = connection_make(sk, bpf_get_socket_cookie(sk));
  if (!o) return NULL;
  o->owner = listener->owner;
  o->cgroup_id = listener->cgroup_id;
  o->home_cgroup_id = listener->home_cgroup_id;
  o->key = listener->key;
  __builtin_memcpy(o->comm, listener->comm, sizeof(o->comm));
  return o;
}

/* listen(2), also without bind: then the kernel picks the port after this, and it is 0 here. A port
 * that the kernel picked is not part of the behaviour. */
static __always_inline void tcp_listening(struct sock* sk) {
  const struct cred* cred = credentials_of(bpf_get_current_task_btf());
  struct flow_report f = {.stage = WIRE_FLOW_LISTENING};
  struct socket_owner* o;

  f.cookie = bpf_get_socket_cookie(sk);
  o = listener_make(sk);
  if (!o) return;
  read_endpoints(sk, &f);
  connection_begin(o, SOCKET_LISTENER | SOCKET_INBOUND);
  o->cookie = f.cookie;
  __builtin_memset(&o->key, 0, sizeof(o->key));
  own_socket(o, cred);
  if (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK) o->key.port = f.local.port;
  o->key.protocol = IPPROTO_TCP;
  o->key.verb = WIRE_VERB_LISTEN;
  o->key.prefix = PREFIX_OBJECT;
  flow_act(o, &o->key, &f, WIRE_CACHE_FLOW);
}

static __always_inline void tcp_closed(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_CLOSED};

  take_totals(sk, o, &f);
  o->flags &= ~SOCKET_OPEN;
  flow_follow_up(o, &f);
}

/* Whoever ends an inbound connection by close or shutdown used it; the kernel names nobody earlier.
 * Only asked when somebody is told. */
static __always_inline void tcp_used(struct sock* sk) {
  struct socket_owner* o = connection_owner(sk);
  struct process_context* p;

  if (!o || !(o->flags & SOCKET_INBOUND) || o->user.tgid || !may_be_told(o)) return;
  p = process_find(bpf_get_current_pid_tgid() >> 32);
  if (p) o->user = p->wire.id;
}

static __always_inline void tcp_opened(struct sock* sk, int old_state) {
  struct connection* c = connection_find(sk->__sk_common.skc_cookie.counter);
  struct socket_owner* o;

  if (c) {
    tcp_established(sk, &c->socket);
    return;
  }
  if (old_state != TCP_SYN_RECV) {
    o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
    if (o)
      tcp_established(sk, o);
    else
      count_error(WIRE_ERROR_NO_SOCKET_OWNER);
    return;
  }
  o = owner_of_accepted(sk);
  if (!o) return;
  tcp_accepted(sk, o);
}

static __always_inline void tcp_ended(struct sock* sk, int old_state) {
  struct connection* c = connection_find(sk->__sk_common.skc_cookie.counter);
  struct socket_owner* o = c ? &c->socket : bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);

  if (!o) {
    if (old_state != TCP_CLOSE) count_error(WIRE_ERROR_NO_SOCKET_OWNER);
    return;
  }
  if (old_state == TCP_SYN_SENT)
    tcp_failed(sk, o);
  else if (o->flags & SOCKET_OPEN)
    tcp_closed(sk, o);
  if (c) connection_leave(c, sk->__sk_common.skc_cookie.counter);
}

/* Every change of state of a TCP socket that matters, in the context of the change. Nothing is
 * attached to it: reached by a tail call of the other two, so verified once and, which is the
 * point, run again by an interrupt of itself, as no program that is attached is. All it shares is
 * made for that. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_body, struct sock* sk, int old_state, int new_state) {
  /* Never so. A program that can call another has its variables on the stack of the task or of the
   * interrupt; else, since 6.13, in memory of the CPU, that an interrupt's run would write to. */
  if (new_state < 0) bpf_tail_call(ctx, &vd_tcp_body, TCP_NO_BODY);
  if (new_state == TCP_ESTABLISHED)
    tcp_opened(sk, old_state);
  else if (new_state == TCP_LISTEN)
    tcp_listening(sk);
  else if (new_state != TCP_CLOSE)
    tcp_used(sk);
  else if (old_state == TCP_LISTEN)
    listener_forget(sk);
  else
    tcp_ended(sk, old_state);
  return 0;
}

/* Every change of state of a TCP socket; in the caller's context for connect, listen and the
 * caller's own end of a connection, else mostly in softirq. Most changes leave at once. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock* sk, int old_state, int new_state) {
  struct wire_tcp_pair* pair;
  struct change change;

  if (!matters(sk, new_state)) return 0;
  change = change_of(sk, old_state, new_state);
  pair = tcp_pair();
  if (pair) *tcp_note(pair, &change) = change.name;
  return tcp_handle(ctx);
}

/* The same changes once more, after tcp_state. The kernel skips a program that its CPU is running
 * already, so tcp_state does not see the change in a softirq that interrupts it: this one does that
 * in its place. Where this one is interrupted, and skipped, tcp_state was not. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_nested, struct sock* sk, int old_state, int new_state) {
  struct wire_tcp_pair* pair;
  struct change change;
  __u64* note;

  if (!matters(sk, new_state)) return 0;
  change = change_of(sk, old_state, new_state);
  pair = tcp_pair();
  if (!pair) return 0;
  note = tcp_note(pair, &change);
  if (*note == change.name) {
    *note = 0;
    return 0;
  }
  __sync_fetch_and_add(&pair->taken_over, 1);
  return tcp_handle(ctx);
}
