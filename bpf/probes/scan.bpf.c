/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was there before the agent, and what lasts: read on demand through iterators. Not attached
 * to anything. */
#include "bpf/lib/path.h"
#include "bpf/lib/process.h"
#include "bpf/lib/tcp.h"
#include "bpf/wire/file_key.h"
#include "bpf/wire/process_seen.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define TCP_ESTABLISHED 1
#define TCP_LISTEN 10
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

/* Stores the context of a process that has none. Parents come before their children when the agent
 * walks twice; who died earlier stays unknown. */
static __always_inline struct process_context* seen_process(struct task_struct* task) {
  struct process_context* p = process_find(task->tgid);

  if (p) return p;
  p = process_rebuild(task);
  if (p) p->wire.id.start_ns = task->start_boottime;
  return p;
}

/* Every process; in the agent's context, when it reads the iterator. */
SEC("iter/task")
int scan_processes(struct bpf_iter__task* ctx) {
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
  __builtin_memcpy(&s->seen.process, &p->wire, sizeof(s->seen.process));
  s->seen.path_bytes = 0;
  s->seen.argv_bytes = 0;
  s->seen.flags = 0;
  s->seen.origin = WIRE_ORIGIN_UNKNOWN;
  exe = task->mm ? task->mm->exe_file : NULL;
  if (exe) {
    struct wire_code code;

    s->seen.origin = code_of_file(exe, &code);
    path = path_of_file(exe, &p->root);
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
  bpf_seq_write(ctx->meta->seq, s, sizeof(s->seen) + bytes);
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

/* Sockets that were open before the agent get their holder as owner. */
SEC("iter/task_file")
int scan_sockets(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file;
  struct process_context* p;
  struct socket_owner* o;
  struct socket* socket;
  struct sock* sk;

  if (!task || !file) return 0;
  socket = bpf_sock_from_file(file);
  if (!socket) return 0;
  sk = socket->sk;
  if (!sk || (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6))
    return 0;
  p = process_find(task->tgid);
  if (!p) return 0;
  o = bpf_sk_storage_get(&vd_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!o) {
    count_error(WIRE_ERROR_SOCKET_STORAGE);
    return 0;
  }
  if (o->owner.start_ns) return 0;
  owner_from_process(o, p);
  o->key.protocol = sk->sk_protocol;
  if (sk->__sk_common.skc_state == TCP_LISTEN) {
    o->flags = SOCKET_LISTENER | SOCKET_INBOUND;
    if (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK)
      o->key.port = sk->__sk_common.skc_num;
  } else if (sk->__sk_common.skc_state == TCP_ESTABLISHED && sk->sk_protocol == IPPROTO_TCP)
    o->flags = SOCKET_OPEN;
  else if (sk->sk_protocol == IPPROTO_UDP &&
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

/* All sockets that listen, with their owner: a known listener sends no record. */
SEC("iter/bpf_sk_storage_map")
int scan_listeners(struct bpf_iter__bpf_sk_storage_map* ctx) {
  struct flow_report f = {.stage = WIRE_FLOW_LISTENING};
  struct socket_owner* o = ctx->value;
  struct sock* sk = ctx->sk;
  struct wire_flow* r;
  struct governed g;
  __u32 zero = 0;

  if (!o || !sk || !is_listening(sk)) return 0;
  r = bpf_map_lookup_elem(&scratch_flow, &zero);
  if (!r) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  read_endpoints(sk, &f);
  f.cookie = bpf_get_socket_cookie(sk);
  governed_by(o->home_cgroup_id, &g);
  fill_flow(r, o, &o->key, &f);
  r->header.reason = WIRE_REASON_CONTEXT;
  r->header.lane = WIRE_LANE_FLOW;
  r->process.workload = g.key.workload;
  /* The socket's own network: its owner may have gone to another one, or be dead. */
  r->process.ns_net = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
  r->protocol = sk->sk_protocol;
  r->inbound = 1;
  bpf_seq_write(ctx->meta->seq, r, sizeof(*r));
  return 0;
}

/* Adds what TCP connections that are open for more than a minute did since the last look. */
SEC("iter/bpf_sk_storage_map")
int scan_long_flows(struct bpf_iter__bpf_sk_storage_map* ctx) {
  struct socket_owner* o = ctx->value;
  struct sock* sk = ctx->sk;
  struct flow_report f = {.stage = WIRE_FLOW_UPDATE};

  if (!o || !sk || !(o->flags & SOCKET_OPEN) || sk->sk_protocol != IPPROTO_TCP ||
      bpf_ktime_get_boot_ns() - o->start_ns < LONG_FLOW_NS)
    return 0;
  take_totals(sk, o, &f);
  flow_follow_up(o, &f);
  return 0;
}
