/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/maps.h"

static __always_inline void count_error(__u32 error) {
  __u64* n = bpf_map_lookup_elem(&vd_errors, &error);

  if (n) __sync_fetch_and_add(n, 1);
}

static __always_inline struct wire_config* config(void) {
  __u32 zero = 0;

  return bpf_map_lookup_elem(&vd_config, &zero);
}
