/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

#define WIRE_CGROUP_PATH_BYTES 1024

enum wire_cgroup_change {
  WIRE_CGROUP_CREATED = 0,
  WIRE_CGROUP_REMOVED = 1,
};

struct wire_cgroup {
  struct wire_header header;
  __u64 cgroup_id;
  __u64 parent_id;
  __u64 workload;
  __u8 change;
  __u8 path_cut;
  __u16 path_bytes;
  __u8 pad[4];
  __u8 path[WIRE_CGROUP_PATH_BYTES];
};
WIRE_LAYOUT(struct wire_cgroup, 1112);
