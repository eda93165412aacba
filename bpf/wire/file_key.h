/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

/* The key of the code in a file that the agent holds open. */
struct wire_file_key {
  struct wire_code code;
  __u32 fd;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_file_key, 48);
