/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* No probe: tells the agent whether this kernel calls programs of BPF LSM. One that was not booted
 * with bpf among its security modules takes them, and never calls any. */

#include "bpf/lib/kernel_types.h"

char _license[] SEC("license") = "Dual BSD/GPL";

enum { LSM_ASKER, LSM_OPENS, LSM_WORDS };

/* The process that asks, and how many files it was seen to open. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, LSM_WORDS);
  __type(key, __u32);
  __type(value, __u64);
} scratch_lsm SEC(".maps");

/* A file is about to be opened, in the context of who opens it. Attached for one open of the agent.
 */
SEC("lsm/file_open")
int BPF_PROG(lsm_file_open, struct file* file) {
  __u32 asker_at = LSM_ASKER, opens_at = LSM_OPENS;
  __u64* asker = bpf_map_lookup_elem(&scratch_lsm, &asker_at);
  __u64* opens = bpf_map_lookup_elem(&scratch_lsm, &opens_at);

  if (asker && opens && *asker == bpf_get_current_pid_tgid() >> 32) __sync_fetch_and_add(opens, 1);
  return 0;
}
