/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Privileged acts: one record for all of them, each is news once. */

#include "bpf/lib/process.h"
#include "bpf/lib/verdict.h"
#include "bpf/wire/privilege.h"

/* The cgroup whose workload governs a task. */
static __always_inline __u64 home_cgroup_of(struct task_struct* task) {
  struct process_context* p = process_find(BPF_CORE_READ(task, tgid));

  return p ? p->wire.home_cgroup_id : BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* The number of the workload of a cgroup; 0: not known. */
static __always_inline __u64 workload_of(__u64 cgroup_id) {
  struct wire_instance* instance = bpf_map_lookup_elem(&vd_instances, &cgroup_id);

  return instance ? instance->workload : 0;
}

/* Who acts, where the table of processes has no room: what the kernel still knows. Its root is not
 * known, so its path is that of no known program. */
static __always_inline void fill_without_context(struct wire_process* to,
                                                 struct task_struct* task) {
  struct file* exe = BPF_CORE_READ(task, mm, exe_file);

  __builtin_memset(to, 0, sizeof(*to));
  to->id.start_ns = bpf_ktime_get_boot_ns();
  to->id.tgid = task->tgid;
  to->tgid = task->tgid;
  if (exe) read_code(exe, &to->code, false);
  to->code.flags |= WIRE_CODE_ELSEWHERE;
  to->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  to->home_cgroup_id = to->cgroup_id;
  to->credentials.uid = BPF_CORE_READ(task, real_cred, uid.val);
  to->credentials.gid = BPF_CORE_READ(task, real_cred, gid.val);
  to->credentials.euid = BPF_CORE_READ(task, real_cred, euid.val);
  to->credentials.egid = BPF_CORE_READ(task, real_cred, egid.val);
  bpf_probe_read_kernel(to->comm, sizeof(to->comm), task->comm);
}

/* What one act is about. Not on the stack, which has no room for a key in two functions; and until
 * 6.2 a map takes no key that was handed to a function. */
struct privilege_scratch {
  struct wire_code_key key;
  struct wire_process actor; /* of a process without a context */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct privilege_scratch);
} scratch_privilege SEC(".maps");

static __always_inline struct privilege_scratch* privilege_scratch(void) {
  __u32 zero = 0;
  struct privilege_scratch* s = bpf_map_lookup_elem(&scratch_privilege, &zero);

  if (!s) count_error(WIRE_ERROR_SCRATCH);
  return s;
}

/* The key of the next privileged_act on this CPU, empty but for the verb. NULL, counted: none. */
static __always_inline struct wire_code_key* privilege_key(__u32 verb) {
  struct privilege_scratch* s = privilege_scratch();

  if (!s) return NULL;
  __builtin_memset(&s->key, 0, sizeof(s->key));
  s->key.verb = verb;
  return &s->key;
}

static __always_inline void fill_target(struct wire_privilege* r, struct task_struct* target) {
  __u32 tgid = BPF_CORE_READ(target, tgid);
  struct process_context* p = process_find(tgid);

  r->target.tgid = tgid;
  bpf_probe_read_kernel(r->target_comm, sizeof(r->target_comm), target->comm);
  r->target_home_cgroup_id = home_cgroup_of(target);
  if (!p) return;
  r->target = p->wire.id;
  r->target_code = p->wire.code;
}

static __always_inline void fill_object(struct wire_privilege* r, __u64 object, __u64 flags) {
  struct module* module = (void*)object;

  __builtin_memset(&r->target, 0, sizeof(*r) - __builtin_offsetof(struct wire_privilege, target));
  r->flags = flags;
  switch (r->key.verb) {
    case WIRE_VERB_MODULE:
      bpf_core_read_str(r->module, sizeof(module->name), &module->name);
      r->flags = BPF_CORE_READ(module, taints);
      break;
    case WIRE_VERB_SIGNAL:
      r->number = r->key.object.generation;
      r->target_workload = r->key.object.device;
      fill_target(r, (void*)object);
      break;
    case WIRE_VERB_CAPABILITY:
      r->number = r->key.object.generation;
      break;
  }
}

/* Looks the act of the current process up whose key is in the scratch, counts it, and tells it when
 * it is news. object: the module, or the task that was sent a signal. Fills the key's subject, but
 * for a capability's. True once there is an entry for it. Not static: verified once. */
__noinline int privileged_act(__u64 object, __u64 flags) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct privilege_scratch* s = privilege_scratch();
  struct lookup l = {.cache = WIRE_CACHE_CODE};
  struct process_context* p;
  struct wire_process* actor;
  struct governed g;
  struct wire_privilege* r;
  enum act_class class;
  __u32 lane;

  if (!s) return 0;
  /* Not made from what is left: that is rare, and most of the verifier's work. */
  p = process_find(task->tgid);
  actor = p ? &p->wire : &s->actor;
  if (!p) {
    count_error(WIRE_ERROR_NO_PROCESS);
    fill_without_context(actor, task);
  }
  if (s->key.verb != WIRE_VERB_CAPABILITY) s->key.subject = actor->code;
  governed_by(actor->home_cgroup_id, &g);
  l.inner = bpf_map_lookup_elem(&vd_code_cache, &g.key);
  if (l.inner) l.verdict = bpf_map_lookup_elem(l.inner, &s->key);
  class = classify(&g, &l);
  if (class == ACT_NEWS || class == ACT_TAPPED) {
    lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_CODE;
    r = lane_reserve(lane, sizeof(*r));
    /* Each way by itself: 6.1 does not see that a record is there through a flag that says so. */
    if (!r) {
      lane_dropped(lane);
      if (class == ACT_NEWS) claim(&g, &l, &s->key, &actor->id, false);
    } else if (class == ACT_NEWS && !claim(&g, &l, &s->key, &actor->id, true)) {
      bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    } else {
      if (p) process_refresh(p, task);
      FILL_HEADER(r, PRIVILEGE);
      r->header.lane = lane;
      r->header.reason = class == ACT_TAPPED ? WIRE_REASON_TAP : WIRE_REASON_NEWS;
      fill_slot(&r->header, &g, &l);
      __builtin_memcpy(&r->process, actor, sizeof(r->process));
      r->process.workload = g.key.workload;
      r->key = s->key;
      fill_object(r, object, flags);
      lane_submit(lane, &r->header, false);
    }
  }
  count_act(&g, &l, bpf_ktime_get_boot_ns());
  return l.slot != 0;
}
