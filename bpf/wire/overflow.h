/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

struct wire_overflow {
  struct wire_header header;
  __u64 workload;
  __u64 generation;
  __u32 cache;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_overflow, 80);
