/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

enum process_flags {
  PROCESS_NEWS = 1,    /* its exec was reported, so its exit is told too */
  PROCESS_REBUILT = 2, /* made from what the kernel still knew, not at its start */
  /* Placed by a runtime and still running its code: what it becomes starts the container. */
  PROCESS_STARTING = 4,
  PROCESS_HOMELESS = 8,  /* not in the table, which has no room for it */
  PROCESS_DETACHED = 16, /* its program is on a mount that is in no tree of mounts */
  PROCESS_COPY = 32,     /* its program is a listed runtime's copy of itself, and may place */
};

/* Addresses of the mount and the directory entry that were the root when the container started: of
 * its first program that is no runtime's. Compared, never followed. 0: not known. */
struct process_root {
  __u64 mount; /* struct vfsmount */
  __u64 dentry;
};

/* What is kept about a process: the kernel's side of struct wire_process. */
struct process_context {
  struct wire_process wire;
  struct process_root root;
  /* Its own root when it was moved: who has another one is in the container already. */
  struct process_root pending_root;
  __u64 pending_cgroup; /* the next exec inside this cgroup takes its workload */
  __u64 charged;        /* the workload in whose share of the table it is */
  __u32 flags;
  __u32 pad;
};
