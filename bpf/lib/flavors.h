/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Fields that moved or changed their type between kernels. A name after ___ is dropped by libbpf
 * when it looks the type up. */

#include "bpf/lib/kernel_types.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Before 6.6. */
struct inode___ctime {
  struct timespec64 i_ctime;
};

/* 6.6 to 6.10. */
struct inode___ctime_underscore {
  struct timespec64 __i_ctime;
};

/* Since 6.11. */
struct inode___ctime_parts {
  __s64 i_ctime_sec;
  __u32 i_ctime_nsec;
};

/* A capability set was two words until 6.3. */
typedef struct {
  __u64 val;
} kernel_cap_t___val;

typedef struct {
  __u32 cap[2];
} kernel_cap_t___words;

struct cred___val {
  kernel_cap_t___val cap_permitted;
  kernel_cap_t___val cap_effective;
};

struct cred___words {
  kernel_cap_t___words cap_permitted;
  kernel_cap_t___words cap_effective;
};

/* User space knows registers by other names. */
struct pt_regs___kernel {
  unsigned long orig_ax;
};

/* Until 6.14, and since 6.15. */
struct kernfs_node___plain {
  struct kernfs_node* parent;
};

struct kernfs_node___rcu {
  struct kernfs_node* __parent;
};

/* Since 6.8: a mount's number that is never given out again. */
struct mount___unique {
  __u64 mnt_id_unique;
};

/* Names functions that programs can call; this one since 6.2. */
enum special_kfunc_type___cast {
  KF_bpf_rdonly_cast___cast = 1,
};

/* Options of a socket were bits until 6.6. */
struct inet_sock___flags {
  unsigned long inet_flags;
};

struct inet_sock___bits {
  __u8 transparent : 1;
};

#define INET_FLAGS_TRANSPARENT 15

/* The overlay module's inode. oe since 6.5, lowerpath since 5.19, lower before. */
struct ovl_layer {
  int idx;
};

struct ovl_path {
  struct ovl_layer* layer;
  struct dentry* dentry;
};

struct ovl_entry {
  unsigned int __numlower;
  struct ovl_path __lowerstack[1];
};

struct ovl_inode___entry {
  struct inode vfs_inode;
  struct dentry* __upperdentry;
  struct ovl_entry* oe;
};

struct ovl_inode___lowerpath {
  struct inode vfs_inode;
  struct dentry* __upperdentry;
  struct ovl_path lowerpath;
};

struct ovl_inode___lower {
  struct inode vfs_inode;
  struct dentry* __upperdentry;
  struct inode* lower;
};

#pragma clang attribute pop

/* A kernel address as a number: a global function takes no pointers to kernel types. */
static __always_inline __u64 address_of(const void* at) {
  __u64 address = 0;

  bpf_probe_read_kernel(&address, sizeof(address), &at);
  return address;
}
