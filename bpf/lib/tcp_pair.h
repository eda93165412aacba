/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* How two programs on one tracepoint lose nothing where the kernel skips a run of one of them:
 * docs/adr/0012-two-programs-on-tcp-state.md */

#include "bpf/lib/tcp.h"

/* Places in vd_tcp_body: the program that does the work, and one that stays empty. */
enum tcp_body_place { TCP_BODY, TCP_NO_BODY, TCP_BODY_PLACES };

int tcp_body(unsigned long long* ctx);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, TCP_BODY_PLACES);
  __uint(key_size, sizeof(__u32));
  __array(values, int(void*));
} vd_tcp_body SEC(".maps") = {.values = {[TCP_BODY] = (void*)&tcp_body}};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct wire_tcp_pair);
} vd_tcp_pair SEC(".maps");

/* On x86 as large as the stack of a task, which no type of the kernel tells. */
struct irq_stack {
  char stack[16384];
};

/* One change of state, to which both programs give the same name: not 0, and two of one name cannot
 * be under way at once. */
struct change {
  __u64 name;
  bool has_interrupted; /* a task, or what else ran on its stack */
};

static __always_inline struct change change_of(struct sock* sk, int old_state, int new_state) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 at = bpf_get_current_task(), bytes = sizeof(struct irq_stack);
  __u64 frame, socket;

  if (bpf_core_type_exists(struct irq_stack)) bytes = bpf_core_type_size(struct irq_stack);
  /* The verifier lets addresses be subtracted, and makes a number of them so. */
  asm volatile("%0 = r10\n %0 -= %1" : "=&r"(frame) : "r"(task));
  asm volatile("%0 = %2\n %0 -= %1" : "=&r"(socket) : "r"(task), "r"(sk));
  return (struct change){
      .name = (socket + at) << 8 | (old_state & 0xf) << 4 | (new_state & 0xf),
      /* On the stack of an interrupt, that is. */
      .has_interrupted = frame + at - (__u64)task->stack >= bytes,
  };
}

static __always_inline struct wire_tcp_pair* tcp_pair(void) {
  __u32 zero = 0;
  struct wire_tcp_pair* pair = bpf_map_lookup_elem(&vd_tcp_pair, &zero);

  if (!pair) count_error(WIRE_ERROR_SCRATCH);
  return pair;
}

/* Where a change is noted. In a task what is noted of a softirq is stale: that is over, and the
 * second program, which this task was running, was skipped for it. */
static __always_inline __u64* tcp_note(struct wire_tcp_pair* pair, const struct change* c) {
  if (c->has_interrupted) return &pair->softirq;
  pair->softirq = 0;
  return &pair->tasks[c->name >> 16 & (WIRE_TCP_TASK_NOTES - 1)];
}

static __always_inline bool matters(struct sock* sk, int new_state) {
  if (new_state != TCP_ESTABLISHED && new_state != TCP_CLOSE && new_state != TCP_LISTEN &&
      new_state != TCP_FIN_WAIT1 && new_state != TCP_LAST_ACK)
    return false;
  return sk->sk_protocol == IPPROTO_TCP;
}

/* Goes on as tcp_body. Comes back, counted, only where that is not there. */
static __always_inline int tcp_handle(void* ctx) {
  bpf_tail_call(ctx, &vd_tcp_body, TCP_BODY);
  count_error(WIRE_ERROR_NO_PROGRAM);
  return 0;
}
