/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Who acts on a socket, looked at again. */

#include "bpf/lib/credential.h"
#include "bpf/lib/flow.h"

/* The owner of a socket where the table of processes has no room: what the kernel still knows. Its
 * root is not known, so its path is that of no known program. */
static __noinline void owner_without_context(struct socket_owner* o, struct task_struct* task) {
  struct file* exe = BPF_CORE_READ(task, mm, exe_file);

  o->owner.start_ns = bpf_ktime_get_boot_ns();
  o->owner.tgid = task->tgid;
  o->owner.pad = 0;
  __builtin_memset(&o->key.subject, 0, sizeof(o->key.subject));
  if (exe) read_code(exe, &o->key.subject, false);
  o->key.subject.flags |= WIRE_CODE_ELSEWHERE;
  o->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  o->home_cgroup_id = o->cgroup_id;
  bpf_probe_read_kernel(o->comm, sizeof(o->comm), task->comm);
}

/* Makes the current process the owner of a socket that it connects or listens on. On the way its
 * credentials, which are `cred`, are compared with those of the last look. */
static __always_inline void own_socket(struct socket_owner* o, const struct cred* cred) {
  struct process_context* p = process_current();
  struct wire_credentials now;

  if (!p) {
    owner_without_context(o, bpf_get_current_task_btf());
    return;
  }
  read_credentials(cred, &now);
  if (!has_same_credentials(&now, &p->wire.credentials)) look_at_credentials();
  owner_from_process(o, p);
}
