/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Which workload an execution belongs to, and from where its paths are told (ADR 4). */

#include "bpf/lib/exec_act.h"

/* The root that paths are told from is that of the first program that is no runtime's. */
static __always_inline void note_root(struct process_context* p, struct task_struct* task) {
  if (!(p->flags & PROCESS_STARTING)) return;
  read_root(&p->root, task);
  if (!bpf_map_lookup_elem(&vd_runtimes, &p->wire.code)) p->flags &= ~PROCESS_STARTING;
}

/* Does a runtime execute a copy of itself that is in no tree of mounts? runc and crun do so to keep
 * what they start from writing to them. A runtime is one in whatever mount namespace it runs, but
 * what is no more in any is a copy already. */
static __noinline bool is_copying_itself(struct linux_binprm* bprm, struct process_context* p,
                                         struct exec_act* act) {
  struct wire_code runtime;

  if (!bprm || !p || !act || (p->flags & PROCESS_DETACHED)) return false;
  runtime = act->parent_code;
  runtime.flags &= ~WIRE_CODE_ELSEWHERE;
  if (act->origin != WIRE_ORIGIN_MEMFD &&
      (p->wire.code.inode != runtime.inode || p->wire.code.device != runtime.device ||
       p->wire.code.generation != runtime.generation || !is_detached(BPF_CORE_READ(bprm, file))))
    return false;
  return bpf_map_lookup_elem(&vd_runtimes, &runtime);
}

/* A placement takes effect with the first program of the container. A runtime that becomes a copy
 * of itself, some before and some after the move, is on its way still. Not with another root than
 * it had when it was moved: then it is in the container, whose files say what it executes. */
static __always_inline void adopt(struct task_struct* task, struct process_context* p,
                                  struct exec_act* act, bool is_copy) {
  bool is_placed = p->pending_cgroup && p->pending_cgroup == p->wire.cgroup_id;
  struct process_root now;

  p->flags &= ~(PROCESS_DETACHED | PROCESS_COPY);
  if (is_placed && is_copy) {
    read_root(&now, task);
    is_placed = now.mount != p->pending_root.mount || now.dentry != p->pending_root.dentry;
  }
  if (is_placed) {
    p->wire.home_cgroup_id = p->pending_cgroup;
    p->pending_cgroup = 0;
    p->flags |= PROCESS_STARTING;
  } else if (is_copy && !(act->parent_code.flags & WIRE_CODE_ELSEWHERE)) {
    p->flags |= PROCESS_COPY;
  }
}

/* What the new program is beside its file, told from the root of its container's start. */
static __always_inline void note_place(struct file* file, struct process_context* p,
                                       struct exec_act* act) {
  if (act->origin == WIRE_ORIGIN_MEMFD || !is_elsewhere(file, &p->root, true)) return;
  p->wire.code.flags |= WIRE_CODE_ELSEWHERE;
  if (is_detached(file)) p->flags |= PROCESS_DETACHED;
}
