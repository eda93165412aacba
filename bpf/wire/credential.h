/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/cache.h"

struct wire_credential {
  struct wire_header header;
  struct wire_process process; /* with the new credentials */
  struct wire_credentials before;
  struct wire_code_key key;
};
WIRE_LAYOUT(struct wire_credential, 944);
