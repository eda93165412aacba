/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Process context: made at fork, changed at exec, gone at exit. */

#include "bpf/lib/code.h"
#include "bpf/lib/path.h"
#include "bpf/lib/workload.h"

/* A workload's processes fill at most this part of the table, so that no workload's forks take away
 * the context of others. */
#define PROCESS_SHARE_PART 4

static __always_inline struct process_context* process_find(__u32 tgid) {
  return bpf_map_lookup_elem(&vd_processes, &tgid);
}

/* By a helper: one step for the verifier, where a copy in place is two hundred on every path. */
static __always_inline void copy_process(struct wire_process* to, struct process_context* p) {
  bpf_probe_read_kernel(to, sizeof(*to), &p->wire);
}

/* Loads of pointers through a task come first in a function: for each of them, and once for every
 * path that leads to it, the verifier searches all names of the kernel's BTF. */
static __always_inline const struct cred* credentials_of(struct task_struct* task) {
  const struct cred* cred = task->real_cred;

  barrier_var(cred);
  return cred;
}

static __always_inline void read_credentials(const struct cred* cred, struct wire_credentials* c) {
  c->uid = cred->uid.val;
  c->gid = cred->gid.val;
  c->euid = cred->euid.val;
  c->egid = cred->egid.val;
  if (bpf_core_field_exists(struct cred___val, cap_permitted.val)) {
    struct cred___val* v = (void*)cred;

    c->cap_permitted = v->cap_permitted.val;
    c->cap_effective = v->cap_effective.val;
  } else {
    struct cred___words* w = (void*)cred;

    c->cap_permitted = w->cap_permitted.cap[0] | (__u64)w->cap_permitted.cap[1] << 32;
    c->cap_effective = w->cap_effective.cap[0] | (__u64)w->cap_effective.cap[1] << 32;
  }
}

static __always_inline __u32 tgid_in_namespace(struct task_struct* task) {
  struct pid* pid = BPF_CORE_READ(task, group_leader, thread_pid);
  __u32 level = BPF_CORE_READ(pid, level);
  struct upid number = {};

  if (level > 32) return 0;
  bpf_core_read(&number, sizeof(number), &pid->numbers[level]);
  return number.nr;
}

static __always_inline __u32 tty_of(struct task_struct* task) {
  struct tty_struct* tty = BPF_CORE_READ(task, signal, tty);

  if (!tty) return 0;
  return (__u32)BPF_CORE_READ(tty, driver, major) << 20 |
         (BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index));
}

/* Reads what may have changed since the last look, for a record that is about to be sent. Rare, so
 * by probe reads: for every load of a pointer through a task the verifier searches all names of the
 * kernel's BTF, once per path that leads here, and that is most of the time it takes to load. */
static __always_inline void process_refresh(struct process_context* p, struct task_struct* task) {
  p->wire.cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  p->wire.ns_pid = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum);
  p->wire.ns_mnt = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
  p->wire.ns_net = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
  p->wire.ns_user = BPF_CORE_READ(task, cred, user_ns, ns.inum);
  p->wire.tgid_in_namespace = tgid_in_namespace(task);
  p->wire.tty = tty_of(task);
  p->wire.parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
}

/* Puts `ancestor` before the other ancestors of p. */
static __always_inline void push_ancestor(struct wire_process* p,
                                          const struct wire_process* ancestor) {
  __u32 head = (p->ancestor_head - 1) & (WIRE_ANCESTORS - 1);
  struct wire_ancestor* a = &p->ancestors[head];

  a->id = ancestor->id;
  a->code = ancestor->code;
  __builtin_memcpy(a->comm, ancestor->comm, WIRE_COMM_BYTES);
  p->ancestor_head = head;
  if (p->ancestor_count < WIRE_ANCESTORS) p->ancestor_count++;
}

/* The lineage of a process is its parent's, and its parent. */
static __always_inline void descend(struct wire_process* p, const struct wire_process* parent) {
  __builtin_memcpy(&p->ancestors, &parent->ancestors, sizeof(p->ancestors));
  p->ancestor_count = parent->ancestor_count;
  p->ancestor_head = parent->ancestor_head;
  p->parent = parent->id;
  push_ancestor(p, parent);
}

/* May this workload (NULL: none is known) have another process in the table? Counted if not. */
static __always_inline bool process_has_share(struct wire_workload* w) {
  if (!w || w->processes < ((struct bpf_map*)&vd_processes)->max_entries / PROCESS_SHARE_PART)
    return true;
  count_error(WIRE_ERROR_PROCESS_SHARE);
  return false;
}

static __always_inline void process_charge(struct process_context* p, __u64 workload,
                                           struct wire_workload* w) {
  p->charged = workload;
  if (w) __sync_fetch_and_add(&w->processes, 1);
}

static __always_inline void process_discharge(__u64 workload) {
  struct wire_workload* w = bpf_map_lookup_elem(&vd_workloads, &workload);

  /* Not below 0 where the workload's entry was made after the process. */
  if (w && w->processes) __sync_fetch_and_add(&w->processes, -1);
}

/* Removes the context of a process. Of threads that end at once, each may be the last, but one gets
 * true. */
static __always_inline bool process_end(__u32 tgid, __u64 charged) {
  if (bpf_map_delete_elem(&vd_processes, &tgid)) return false;
  process_discharge(charged);
  return true;
}

static __always_inline void read_root(struct process_root* root, struct task_struct* task) {
  root->mount = (__u64)BPF_CORE_READ(task, fs, root.mnt);
  root->dentry = (__u64)BPF_CORE_READ(task, fs, root.dentry);
}

/* Has the last thread of this process ended? Then no exit will remove its context. */
static __always_inline bool process_is_over(struct task_struct* task) {
  return BPF_CORE_READ(task, signal, live.counter) == 0;
}

/* Stores a blank context for a task whose start was not seen; its lineage is what iterators or the
 * parent's context still tell. NULL, counted, when there is no room, and for a zombie. */
static __noinline struct process_context* process_rebuild(struct task_struct* task) {
  const struct cred* cred = credentials_of(task);
  __u32 zero = 0;
  __u32 tgid = task->tgid;
  __u32 parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
  __u64 cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  struct wire_instance* instance = bpf_map_lookup_elem(&vd_instances, &cgroup_id);
  struct process_context* p = bpf_map_lookup_elem(&vd_blank_process, &zero);
  __u64 workload = instance ? instance->workload : 0;
  struct wire_workload* w = bpf_map_lookup_elem(&vd_workloads, &workload);
  struct process_context* parent;
  struct file* exe;

  if (process_is_over(task) || !process_has_share(w)) return NULL;
  if (!p || bpf_map_update_elem(&vd_processes, &tgid, p, BPF_NOEXIST)) {
    count_error(WIRE_ERROR_PROCESS_TABLE);
    return NULL;
  }
  p = process_find(tgid);
  if (!p) return NULL;
  process_charge(p, workload, w);
  read_root(&p->root, task);
  parent = process_find(parent_tgid);
  if (parent && parent != p) {
    descend(&p->wire, &parent->wire);
    /* Its own root may be one that it moved to. */
    if (parent->wire.home_cgroup_id == cgroup_id) p->root = parent->root;
  }
  p->flags = PROCESS_REBUILT;
  p->wire.tgid = tgid;
  p->wire.id.tgid = tgid;
  p->wire.id.start_ns = BPF_CORE_READ(task, start_boottime);
  p->wire.home_cgroup_id = cgroup_id;
  p->wire.workload = workload;
  bpf_probe_read_kernel(p->wire.comm, sizeof(p->wire.comm), task->comm);
  read_credentials(cred, &p->wire.credentials);
  process_refresh(p, task);
  exe = BPF_CORE_READ(task, mm, exe_file);
  if (exe && read_code(exe, &p->wire.code, false) != WIRE_ORIGIN_MEMFD &&
      is_elsewhere(exe, &p->root, false)) {
    p->wire.code.flags |= WIRE_CODE_ELSEWHERE;
    if (is_detached(exe)) p->flags |= PROCESS_DETACHED;
  }
  /* It may have ended meanwhile, and its exit found nothing. */
  if (process_is_over(task) && process_end(tgid, workload)) return NULL;
  return p;
}

/* The context of the current process; made from what is left when its start was not seen. */
static __always_inline struct process_context* process_current(void) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct process_context* p = process_find(task->tgid);

  if (p) return p;
  count_error(WIRE_ERROR_NO_PROCESS);
  return process_rebuild(task);
}

/* Does it run a listed runtime, or the copy of one that it made of itself? */
static __always_inline bool is_runtime(const struct process_context* p) {
  return (p->flags & PROCESS_COPY) || bpf_map_lookup_elem(&vd_runtimes, &p->wire.code);
}

/* May a task whose workload is that of the cgroup `left` be placed elsewhere by this mover? */
static __always_inline bool may_place(__u64 left, const struct process_context* mover) {
  struct wire_instance* from = bpf_map_lookup_elem(&vd_instances, &left);

  if (!from) return false;
  if (from->flags & WIRE_INSTANCE_UNPLACED) return true;
  if (!mover || !is_runtime(mover)) return false;
  return (from->flags & WIRE_INSTANCE_LAUNCHER) || mover->wire.home_cgroup_id != left;
}
