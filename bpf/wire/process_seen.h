/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

/* A process that was there before the agent. Followed by path, then argv. */
struct wire_process_seen {
  struct wire_header header;
  struct wire_process process;
  __u16 path_bytes;
  __u16 argv_bytes;
  __u8 flags; /* wire_exec_flags */
  __u8 origin;
  __u8 pad[2];
};
WIRE_LAYOUT(struct wire_process_seen, 824);
