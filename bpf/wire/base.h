/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What both sides agree on. Fixed-width integers and arrays only; padding is explicit; records are
 * zeroed; fields are only appended. */

#include <linux/types.h>

#ifdef __cplusplus
#define WIRE_LAYOUT(type, bytes) static_assert(sizeof(type) == (bytes), #type " changed its size")
#else
#define WIRE_LAYOUT(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " changed its size")
#endif

#define WIRE_COMM_BYTES 16
#define WIRE_ANCESTORS 8

/* An entry of the verdict cache: slot 0 says there is none. */
struct wire_slot {
  __u64 workload;
  __u64 generation;
  __u32 cache; /* enum of kinds.h: WIRE_CACHE_CODE … */
  __u32 slot;
};
WIRE_LAYOUT(struct wire_slot, 24);

struct wire_header {
  __u16 kind;
  __u16 version;
  __u32 size; /* bytes of this record that are used, header included */
  __u64 boot_ns;
  __u64 sequence; /* per CPU and lane */
  __u32 cpu;
  __u8 lane;
  __u8 reason;
  __u8 hook; /* enum wire_hook */
  __u8 pad;
  struct wire_slot slot;
};
WIRE_LAYOUT(struct wire_header, 56);

enum wire_code_flags {
  WIRE_CODE_ELSEWHERE = 1, /* its path does not end at the root of its container's start */
};

/* The real inode below overlayfs. flags make the same file other code. Change time in nanoseconds
 * of the epoch. */
struct wire_code {
  __u64 device;
  __u64 inode;
  __u64 change_time_ns;
  __u64 size_bytes;
  __u32 generation;
  __u32 flags;
};
WIRE_LAYOUT(struct wire_code, 40);

struct wire_exec_id {
  __u64 start_ns; /* since boot */
  __u32 tgid;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_exec_id, 16);

struct wire_ancestor {
  struct wire_exec_id id;
  struct wire_code code;
  __u8 comm[WIRE_COMM_BYTES];
};
WIRE_LAYOUT(struct wire_ancestor, 72);

struct wire_credentials {
  __u32 uid;
  __u32 gid;
  __u32 euid;
  __u32 egid;
  __u64 cap_permitted;
  __u64 cap_effective;
};
WIRE_LAYOUT(struct wire_credentials, 32);

/* ancestors is a ring: the nearest is at ancestor_head, the next at (ancestor_head + 1) % 8. */
struct wire_process {
  struct wire_exec_id id;
  struct wire_exec_id parent;
  struct wire_code code;
  __u64 cgroup_id;
  __u64 home_cgroup_id;
  __u64 workload;
  struct wire_credentials credentials;
  __u32 tgid;
  __u32 tgid_in_namespace;
  __u32 parent_tgid;
  __u32 tty;
  __u32 ns_pid;
  __u32 ns_mnt;
  __u32 ns_net;
  __u32 ns_user;
  __u8 comm[WIRE_COMM_BYTES];
  __u32 ancestor_count;
  __u32 ancestor_head;
  struct wire_ancestor ancestors[WIRE_ANCESTORS];
};
WIRE_LAYOUT(struct wire_process, 760);
