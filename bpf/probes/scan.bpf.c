/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was there before the agent, and what lasts: read on demand through iterators. Not attached
 * to anything. */
#include "bpf/lib/path.h"
#include "bpf/lib/process.h"
#include "bpf/lib/tcp.h"
#include "bpf/wire/file_key.h"
#include "bpf/wire/process_seen.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define LONG_FLOW_NS 60000000000ULL

struct scan_strings {
  struct wire_process_seen seen;
  __u8 path[WIRE_PATH_BYTES];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scan_strings);
} scratch_scan SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct wire_flow);
} scratch_flow SEC(".maps");

/* Stores the context of a process that has none. The walk is in the order of numbers, so a parent
 * may come after its child: the next walk tells the child what the parent has learned of its own
 * lineage. Who died earlier stays unknown. */
static __always_inline struct process_context* seen_process(struct task_struct* task) {
  struct process_context* p = process_find(task->tgid);
  struct process_context* parent;

  if (!p) return process_rebuild(task);
  if (!(p->flags & PROCESS_REBUILT)) return p;
  parent = process_find(BPF_CORE_READ(task, real_parent, tgid));
  if (parent && parent != p &&
      (!p->wire.parent.tgid || (p->wire.parent.tgid == parent->wire.id.tgid &&
                                p->wire.parent.start_ns == parent->wire.id.start_ns)))
    descend(&p->wire, &parent->wire);
  return p;
}

/* Every process; in the agent's context, when it reads the iterator. */
SEC("iter/task")
int scan_processes(struct bpf_iter__task* ctx) {
  struct seq_file* seq = ctx->meta->seq;
  struct task_struct* task = ctx->task;
  struct process_context* p;
  struct scan_strings* s;
  struct path_buffer* path;
  struct file* exe;
  __u32 zero = 0;
  __u32 bytes;

  if (!task || task->pid != task->tgid || (task->flags & PF_KTHREAD)) return 0;
  p = seen_process(task);
  s = bpf_map_lookup_elem(&scratch_scan, &zero);
  if (!p || !s) return 0;
  FILL_HEADER(&s->seen, PROCESS_SEEN);
  s->seen.header.reason = WIRE_REASON_CONTEXT;
  copy_process(&s->seen.process, p);
  s->seen.path_bytes = 0;
  s->seen.argv_bytes = 0;
  s->seen.flags = 0;
  s->seen.origin = WIRE_ORIGIN_UNKNOWN;
  exe = BPF_CORE_READ(task, mm, exe_file);
  if (exe) {
    struct wire_code code;

    s->seen.origin = read_code(exe, &code, false);
    path = path_of_file(exe, &p->root, PATH_OF_SCAN);
    if (path) {
      bytes = WIRE_PATH_BYTES - path->begin;
      if (bytes > WIRE_PATH_BYTES) bytes = WIRE_PATH_BYTES;
      bpf_probe_read_kernel(s->path, bytes, &path->bytes[path->begin & (WIRE_PATH_BYTES - 1)]);
      s->seen.path_bytes = bytes;
      if (path->cut) s->seen.flags |= WIRE_EXEC_PATH_CUT;
    }
  }
  s->seen.header.size = sizeof(s->seen) + s->seen.path_bytes;
  bytes = s->seen.path_bytes;
  if (bytes > WIRE_PATH_BYTES) return 0;
  bpf_seq_write(seq, s, sizeof(s->seen) + bytes);
  return 0;
}

/* The key of the code behind each file that the agent itself holds open: {fd, key}. */
SEC("iter/task_file")
int scan_files(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct wire_config* c = config();
  struct file* file = ctx->file;
  struct wire_file_key out = {};

  if (!task || !file || !c || (__u32)task->tgid != c->agent_tgid) return 0;
  out.fd = ctx->fd;
  code_of_file(file, &out.code);
  bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
  return 0;
}

/* A socket of IPv4 or IPv6 behind an open file. */
static __always_inline struct sock* inet_socket(struct file* file) {
  struct socket* socket = bpf_sock_from_file(file);
  struct sock* sk;

  if (!socket) return NULL;
  sk = socket->sk;
  if (!sk || (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6))
    return NULL;
  return sk;
}

static __always_inline void seen_listener(struct sock* sk, struct process_context* p) {
  struct socket_owner* o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  struct listener_key key;

  if (o) return;
  listener_name(sk, sk->__sk_common.skc_num, &key);
  o = bpf_map_lookup_elem(&vd_listeners, &key);
  if (o && o->cookie == bpf_get_socket_cookie(sk)) return;
  o = listener_make(sk);
  if (!o) return;
  o->cookie = bpf_get_socket_cookie(sk);
  owner_from_process(o, p);
  o->flags = SOCKET_LISTENER | SOCKET_INBOUND;
  if (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK)
    o->key.port = sk->__sk_common.skc_num;
}

static __always_inline void seen_connection(struct sock* sk, struct process_context* p) {
  __u64 cookie = bpf_get_socket_cookie(sk);
  struct socket_owner* o;

  if (connection_owner(sk)) return;
  o = connection_make(sk, cookie);
  if (!o) return;
  __builtin_memcpy(o, &blank_owner, sizeof(*o));
  owner_from_process(o, p);
  o->key.protocol = IPPROTO_TCP;
  if (sk->__sk_common.skc_state == TCP_ESTABLISHED) o->flags = SOCKET_OPEN;
  if (sk->__sk_common.skc_state == TCP_CLOSE) connection_forget(cookie);
}

/* Sockets that were open before the agent get their holder as owner. */
SEC("iter/task_file")
int scan_sockets(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file;
  struct process_context* p;
  struct socket_owner* o;
  struct sock* sk;

  if (!task || !file) return 0;
  sk = inet_socket(file);
  if (!sk) return 0;
  p = process_find(task->tgid);
  if (!p) return 0;
  if (sk->sk_protocol == IPPROTO_TCP) {
    if (sk->__sk_common.skc_state == TCP_LISTEN)
      seen_listener(sk, p);
    else if (sk->__sk_common.skc_state != TCP_CLOSE)
      seen_connection(sk, p);
    return 0;
  }
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!o) {
    count_error(WIRE_ERROR_SOCKET_STORAGE);
    return 0;
  }
  if (o->owner.start_ns) return 0;
  owner_from_process(o, p);
  o->key.protocol = sk->sk_protocol;
  if (sk->sk_protocol == IPPROTO_UDP &&
      (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK)) {
    o->flags = SOCKET_LISTENER;
    o->listening_port = sk->__sk_common.skc_num;
  }
  return 0;
}

/* Does the socket listen on a port that somebody may know? A UDP socket with a peer hears only that
 * one. */
static __always_inline bool is_listening(struct sock* sk) {
  if (sk->sk_protocol == IPPROTO_TCP) return sk->__sk_common.skc_state == TCP_LISTEN;
  return sk->sk_protocol == IPPROTO_UDP && !sk->__sk_common.skc_dport &&
         (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK);
}

/* The socket's own network: its owner may have gone to another one, or be dead. */
static __always_inline void tell_listener(struct seq_file* seq, struct socket_owner* o,
                                          struct flow_report* f, __u32 net, __u8 protocol) {
  struct wire_flow* r;
  struct governed g;
  __u32 zero = 0;

  r = bpf_map_lookup_elem(&scratch_flow, &zero);
  if (!r) {
    count_error(WIRE_ERROR_SCRATCH);
    return;
  }
  governed_by(o->home_cgroup_id, &g);
  fill_flow(r, o, &o->key, f);
  r->header.reason = WIRE_REASON_CONTEXT;
  r->header.lane = WIRE_LANE_FLOW;
  r->process.workload = g.key.workload;
  r->process.ns_net = net;
  r->protocol = protocol;
  r->inbound = 1;
  bpf_seq_write(seq, r, sizeof(*r));
}

/* Sockets that listen and have storage, with their owner: a known listener sends no record. */
SEC("iter/bpf_sk_storage_map")
int scan_listeners(struct bpf_iter__bpf_sk_storage_map* ctx) {
  struct flow_report f = {.stage = WIRE_FLOW_LISTENING};
  struct socket_owner* o = ctx->value;
  struct sock* sk = ctx->sk;

  if (!o || !sk || !is_listening(sk)) return 0;
  read_endpoints(sk, &f);
  f.cookie = bpf_get_socket_cookie(sk);
  tell_listener(ctx->meta->seq, o, &f, BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum),
                sk->sk_protocol);
  return 0;
}

/* The TCP listeners that are kept by name. */
SEC("iter/bpf_map_elem")
int scan_named(struct bpf_iter__bpf_map_elem* ctx) {
  struct flow_report f = {.stage = WIRE_FLOW_LISTENING};
  struct socket_owner* o = ctx->value;
  struct listener_key* name = ctx->key;

  if (!o || !name || !(o->flags & SOCKET_LISTENER)) return 0;
  __builtin_memcpy(f.local.address, name->address, sizeof(f.local.address));
  f.local.port = name->port;
  f.cookie = o->cookie;
  tell_listener(ctx->meta->seq, o, &f, name->net, IPPROTO_TCP);
  return 0;
}

/* Has it lasted, and was it not told in this round? A socket can be open in several processes. */
static __always_inline bool is_told_now(struct socket_owner* o) {
  __u64 now = bpf_ktime_get_boot_ns();

  if (now - o->start_ns < LONG_FLOW_NS || now - o->told_ns < LONG_FLOW_NS / 2) return false;
  o->told_ns = now;
  return true;
}

static __always_inline void long_connection(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_UPDATE};

  if (!(o->flags & SOCKET_OPEN) || !is_told_now(o)) return;
  take_totals(sk, o, &f);
  flow_follow_up(o, &f);
}

/* Bytes of datagrams are counted as they pass; here they are told. */
static __always_inline void long_datagram_flow(struct sock* sk, struct socket_owner* o) {
  struct flow_report f = {.stage = WIRE_FLOW_UPDATE};

  if (!o->remote.port || !may_be_told(o) || !is_told_now(o)) return;
  f.remote = o->remote;
  f.local.port = sk->__sk_common.skc_num;
  f.cookie = bpf_get_socket_cookie(sk);
  flow_follow_up(o, &f);
}

/* Flows that are open for more than a minute: adds what TCP connections did since the last look,
 * and tells of them. A place in the table is held meanwhile: its socket may close on another CPU.
 */
SEC("iter/task_file")
int scan_long_flows(struct bpf_iter__task_file* ctx) {
  struct file* file = ctx->file;
  struct socket_owner* o;
  struct connection* c;
  struct sock* sk;
  __u64 cookie;

  if (!ctx->task || !file) return 0;
  sk = inet_socket(file);
  if (!sk) return 0;
  cookie = sk->__sk_common.skc_cookie.counter;
  c = sk->sk_protocol == IPPROTO_TCP ? connection_find(cookie) : NULL;
  if (c) {
    if (!connection_hold(c, cookie)) return 0;
    long_connection(sk, &c->socket);
    connection_release(c, cookie);
    return 0;
  }
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, 0);
  if (!o) return 0;
  if (sk->sk_protocol == IPPROTO_TCP)
    long_connection(sk, o);
  else if (sk->sk_protocol == IPPROTO_UDP)
    long_datagram_flow(sk, o);
  return 0;
}
