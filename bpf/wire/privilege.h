/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/cache.h"

#define WIRE_MODULE_BYTES 64

/* What was done is key.verb: WIRE_VERB_MODULE, WIRE_VERB_IO_URING, WIRE_VERB_SIGNAL or
 * WIRE_VERB_CAPABILITY; what it does not have is 0. */
struct wire_privilege {
  struct wire_header header;
  struct wire_process process;
  struct wire_code_key key;
  struct wire_exec_id target; /* who a signal was sent to */
  struct wire_code target_code;
  __u64 target_home_cgroup_id;
  __u64 target_workload;
  __u8 target_comm[WIRE_COMM_BYTES];
  __u32 number; /* the signal, or the capability */
  __u32 pad;
  __u64 flags; /* taints of a module, setup flags of an io_uring; 1: in a user namespace */
  __u8 module[WIRE_MODULE_BYTES];
};
WIRE_LAYOUT(struct wire_privilege, 1080);
