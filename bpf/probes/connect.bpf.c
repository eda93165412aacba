/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/actor.h"
#include "bpf/lib/connection.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void connect_act(struct bpf_sock_addr* ctx, const __u8* address) {
  const struct cred* cred = credentials_of(bpf_get_current_task_btf());
  struct flow_report f = {.stage = WIRE_FLOW_OPEN};
  struct socket_owner* o;

  if (!ctx->sk) return;
  f.cookie = bpf_get_socket_cookie(ctx);
  if (ctx->protocol == IPPROTO_TCP) {
    o = connection_make(ctx->sk, f.cookie);
  } else {
    o = bpf_sk_storage_get(&vd_sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!o) count_error(WIRE_ERROR_SOCKET_STORAGE);
  }
  if (!o) return;
  /* A bound UDP socket may dissolve this, and then hears everybody again. */
  connection_begin(o, ctx->protocol == IPPROTO_TCP ? 0 : o->flags & SOCKET_LISTENER);
  o->sent_packets = 0;
  o->received_packets = 0;
  __builtin_memset(&o->key, 0, sizeof(o->key));
  own_socket(o, cred);
  o->user = o->owner;
  __builtin_memcpy(o->key.address, address, sizeof(o->key.address));
  o->key.port = bpf_ntohs(ctx->user_port);
  o->key.protocol = ctx->protocol;
  o->key.verb = WIRE_VERB_CONNECT;
  o->key.prefix = PREFIX_OBJECT;
  __builtin_memcpy(o->remote.address, address, sizeof(o->remote.address));
  o->remote.port = o->key.port;
  f.remote = o->remote;
  flow_act(o, &o->key, &f, WIRE_CACHE_FLOW);
}

/* connect(2) and TCP fast open, IPv4; in the context of the caller, before the kernel connects. */
SEC("cgroup/connect4")
int connect_v4(struct bpf_sock_addr* ctx) {
  __u8 address[16];

  set_v4(address, ctx->user_ip4);
  connect_act(ctx, address);
  return 1;
}

/* The same for IPv6 sockets; an IPv4 peer stands as a mapped address. */
SEC("cgroup/connect6")
int connect_v6(struct bpf_sock_addr* ctx) {
  __u32 address[4];

  address[0] = ctx->user_ip6[0];
  address[1] = ctx->user_ip6[1];
  address[2] = ctx->user_ip6[2];
  address[3] = ctx->user_ip6[3];
  connect_act(ctx, (const __u8*)address);
  return 1;
}
