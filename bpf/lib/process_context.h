/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

enum process_flags {
  PROCESS_NEWS = 1,    /* its exec was reported, so its exit is told too */
  PROCESS_REBUILT = 2, /* made from what the kernel still knew, not at its start */
};

/* What is kept about a process: the kernel's side of struct wire_process. */
struct process_context {
  struct wire_process wire;
  __u64 pending_cgroup; /* the next exec inside this cgroup takes its workload */
  __u32 flags;
  __u32 pad;
};
