/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/count.h"
#include "bpf/wire/exec.h"

#define PATH_COMPONENTS 80
#define PATH_NAME_BYTES 256

/* A path is written from its end to its beginning. */
struct path_buffer {
  __u8 bytes[WIRE_PATH_BYTES + PATH_NAME_BYTES];
  __u32 begin; /* of the path; it ends at WIRE_PATH_BYTES */
  __u32 cut;   /* the walk did not reach a root */
  __u64 root_device;
  __u64 root_inode;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct path_buffer);
} scratch_path SEC(".maps");

static __always_inline struct mount* mount_of(struct vfsmount* mnt) {
  return (void*)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* Puts "/name" before what the buffer holds. False when it does not fit. */
static __always_inline bool path_prepend(struct path_buffer* b, struct dentry* dentry) {
  struct qstr name;
  __u32 begin = b->begin;
  __u32 bytes;

  if (bpf_core_read(&name, sizeof(name), &dentry->d_name)) return false;
  bytes = name.len & (PATH_NAME_BYTES - 1);
  if (bytes + 1 > begin) return false;
  begin -= bytes + 1;
  begin &= WIRE_PATH_BYTES - 1;
  b->bytes[begin] = '/';
  if (bpf_probe_read_kernel(&b->bytes[begin + 1], bytes, name.name)) return false;
  b->begin = begin;
  return true;
}

/* Fills the per-CPU buffer from a dentry and its struct mount, given as numbers. Not static: so the
 * verifier goes through it once, and not once for each way that leads here. */
__noinline int path_walk(__u64 dentry_at, __u64 mount_at) {
  __u32 zero = 0;
  struct path_buffer* b = bpf_map_lookup_elem(&scratch_path, &zero);
  struct dentry* dentry = (void*)dentry_at;
  struct mount* mnt = (void*)mount_at;
  struct dentry* root;

  if (!b) return 0;
  b->begin = WIRE_PATH_BYTES;
  b->cut = 1;
  root = BPF_CORE_READ(mnt, mnt.mnt_root);
  for (int i = 0; i < PATH_COMPONENTS; i++) {
    struct dentry* parent;

    if (dentry == root) {
      struct mount* above = BPF_CORE_READ(mnt, mnt_parent);

      if (above == mnt) {
        b->cut = 0;
        break;
      }
      dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
      mnt = above;
      root = BPF_CORE_READ(mnt, mnt.mnt_root);
      continue;
    }
    parent = BPF_CORE_READ(dentry, d_parent);
    if (!path_prepend(b, dentry)) break;
    if (parent == dentry) {
      /* No mount has this file (a memfd): its name is all there is. */
      b->cut = 0;
      break;
    }
    dentry = parent;
  }
  b->root_inode = BPF_CORE_READ(dentry, d_inode, i_ino);
  b->root_device = BPF_CORE_READ(dentry, d_inode, i_sb, s_dev);
  return 1;
}

/* Walks from a file to the root of its mount tree: never the caller's own root, which it could have
 * moved. Returns the per-CPU buffer; a walk that is cut off says so. Not preemptible contexts only.
 */
static __always_inline struct path_buffer* path_of_file(struct file* file) {
  __u32 zero = 0;
  struct vfsmount* mnt = BPF_CORE_READ(file, f_path.mnt);
  struct path_buffer* b;

  if (path_walk((__u64)BPF_CORE_READ(file, f_path.dentry), (__u64)mount_of(mnt))) {
    b = bpf_map_lookup_elem(&scratch_path, &zero);
    if (b) return b;
  }
  count_error(WIRE_ERROR_SCRATCH);
  return NULL;
}
