/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/hash.h"
#include "bpf/lib/process.h"
#include "bpf/wire/exec.h"

/* What one exec is about, gathered before anything is decided. Not on the stack, which holds 512
 * bytes for a program and what it calls. */
struct exec_act {
  struct wire_code_key key;
  struct wire_code parent_code;
  struct wire_exec_id previous;
  struct wire_credentials before;
  struct wire_script script; /* its name; 0 bytes: not a script */
  struct sip sip;
  struct wire_cache_key governed; /* read once: what is told of the act is judged by it, too */
  __u32 origin;
  __u32 filesystem;
  __u32 flags; /* of the record */
  __u32 pad;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct exec_act);
} scratch_exec SEC(".maps");

/* The script's name as its caller gave it, when the kernel runs an interpreter for it. */
static __always_inline void read_script(struct linux_binprm* bprm, struct exec_act* act) {
  __u64* words = (__u64*)act->script.name;
  long bytes;

  act->script.bytes = 0;
  if (bprm->interp == bprm->filename) return;
  bytes = bpf_probe_read_kernel_str(act->script.name, sizeof(act->script.name), bprm->filename);
  if (bytes <= 1 || bytes > WIRE_SCRIPT_BYTES) return;
  if (bytes == WIRE_SCRIPT_BYTES) act->flags |= WIRE_EXEC_SCRIPT_CUT;
  bytes--;
  act->script.bytes = bytes;
  /* The hash takes whole words. */
  words[bytes >> 3 & (WIRE_SCRIPT_BYTES / 8 - 1)] &= (1ULL << (bytes & 7) * 8) - 1;
}

/* Takes one part of the script's name into its hash. Not static: verified once. */
__noinline int hash_script_part(__u32 begin) {
  __u32 zero = 0;
  struct exec_act* act = bpf_map_lookup_elem(&scratch_exec, &zero);

  if (!act || begin > WIRE_SCRIPT_BYTES - HASH_INPUT_WORDS * 8 || begin >= act->script.bytes)
    return 0;
  sip_take(&act->sip, (__u64*)act->script.name + begin / 8, act->script.bytes - begin);
  return 1;
}

/* The keyed hash of the script's whole name in the per-CPU buffer. */
static __always_inline __u64 hash_script(struct exec_act* act) {
  if (!act->script.bytes || !sip_begin(&act->sip)) return 0;
  for (__u32 begin = 0; begin < WIRE_SCRIPT_BYTES; begin += HASH_INPUT_WORDS * 8)
    if (!hash_script_part(begin)) break;
  return sip_end(&act->sip, act->script.bytes);
}
