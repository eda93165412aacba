/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

struct wire_move {
  struct wire_header header;
  struct wire_process process;
  __u64 to_cgroup_id;
  struct wire_exec_id mover;
  struct wire_code mover_code;
  __u8 adopted; /* the next exec takes the new cgroup's workload */
  __u8 pad[7];
};
WIRE_LAYOUT(struct wire_move, 888);
