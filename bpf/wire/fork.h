/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"

struct wire_fork {
  struct wire_header header;
  struct wire_process process;
};
WIRE_LAYOUT(struct wire_fork, 816);
