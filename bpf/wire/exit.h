/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

struct wire_exit {
  struct wire_header header;
  struct wire_process process;
  __u64 lifetime_ns;
  __u32 status; /* as wait(2) gives it */
  __u32 pad;
};
WIRE_LAYOUT(struct wire_exit, 832);
