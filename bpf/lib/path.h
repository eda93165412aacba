/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/count.h"
#include "bpf/wire/exec.h"

#define PATH_COMPONENTS 80
#define PATH_NAME_BYTES 256
#define PATH_MOUNTS 32

/* A path is written from its end to its beginning. */
struct path_buffer {
  __u8 bytes[WIRE_PATH_BYTES + PATH_NAME_BYTES];
  __u32 begin;     /* of the path; it ends at WIRE_PATH_BYTES */
  __u32 cut;       /* the walk did not reach a root */
  __u32 elsewhere; /* the walk ended at another root than the one asked for */
  __u32 pad;
  __u64 root_device;
  __u64 root_inode;
};

/* An iterator runs preemptibly: an act on its CPU must not write into its path. Acts themselves run
 * with preemption off. */
enum path_user { PATH_OF_ACT, PATH_OF_SCAN, PATH_USERS };

/* How many acts an object can be in the middle of on one CPU. Those of BPF LSM are preempted by
 * others: then an act's buffers have a number, and so has its path. */
#ifndef ACT_BUFFERS
#define ACT_BUFFERS 1
#endif

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ACT_BUFFERS > PATH_USERS ? ACT_BUFFERS : PATH_USERS);
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
  /* FUSE and others have longer names; the beginning of one is another name. */
  if (name.len >= PATH_NAME_BYTES) return false;
  bytes = name.len & (PATH_NAME_BYTES - 1);
  if (bytes + 1 > begin) return false;
  begin -= bytes + 1;
  begin &= WIRE_PATH_BYTES - 1;
  b->bytes[begin] = '/';
  if (bpf_probe_read_kernel(&b->bytes[begin + 1], bytes, name.name)) return false;
  b->begin = begin;
  return true;
}

/* Fills a per-CPU buffer from a dentry and its struct mount up to a root, all given as numbers.
 * Not static: so the verifier goes through it once, and not once for each way that leads here. */
__noinline int path_walk(__u64 dentry_at, __u64 mount_at, __u64 root_dentry, __u64 root_mount,
                         __u32 user) {
  struct path_buffer* b = bpf_map_lookup_elem(&scratch_path, &user);
  struct dentry* dentry = (void*)dentry_at;
  struct mount* mnt = (void*)mount_at;
  struct dentry* root;

  if (!b) return 0;
  b->begin = WIRE_PATH_BYTES;
  b->cut = 1;
  b->elsewhere = 1;
  root = BPF_CORE_READ(mnt, mnt.mnt_root);
  for (int i = 0; i < PATH_COMPONENTS; i++) {
    struct dentry* parent;

    if ((__u64)dentry == root_dentry && (__u64)mnt == root_mount) {
      b->cut = 0;
      b->elsewhere = 0;
      break;
    }
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

/* Does the way from a dentry and its struct mount lead to this root? Without a name read. Any
 * context. What is on a mount is taken to be below that mount's root. Not static, as above. */
__noinline int path_reaches(__u64 dentry_at, __u64 mount_at, __u64 root_dentry, __u64 root_mount) {
  struct dentry* dentry = (void*)dentry_at;
  struct mount* mnt = (void*)mount_at;

  for (int i = 0; i < PATH_MOUNTS && (__u64)mnt != root_mount; i++) {
    struct mount* above = BPF_CORE_READ(mnt, mnt_parent);

    if (above == mnt) return 0;
    dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
    mnt = above;
  }
  if ((__u64)mnt != root_mount) return 0;
  if ((__u64)BPF_CORE_READ(mnt, mnt.mnt_root) == root_dentry) return 1;
  for (int i = 0; i < PATH_COMPONENTS; i++) {
    struct dentry* parent;

    if ((__u64)dentry == root_dentry) return 1;
    parent = BPF_CORE_READ(dentry, d_parent);
    if (parent == dentry) return 0;
    dentry = parent;
  }
  return 0;
}

/* Is this file outside the root that its container had at the start: in another mount namespace, on
 * a tree that was taken out of it, or above it? So is all when the root is not known. Most files
 * are on the root's own mount, which two loads tell. is_typed: as of read_code. */
static __always_inline bool is_elsewhere(struct file* file, struct process_root* root,
                                         bool is_typed) {
  struct vfsmount* mnt;

  if (!root->mount) return true;
  if (is_typed && (__u64)file->f_path.mnt == root->mount &&
      (__u64)file->f_path.mnt->mnt_root == root->dentry)
    return false;
  /* By probe read, so that these are numbers to the verifier. */
  mnt = BPF_CORE_READ(file, f_path.mnt);
  return !path_reaches((__u64)BPF_CORE_READ(file, f_path.dentry), (__u64)mount_of(mnt),
                       root->dentry, (__u64)mount_of((void*)root->mount));
}

/* Is this file on a mount that was taken out of its tree? All of it is elsewhere. */
static __always_inline bool is_detached(struct file* file) {
  struct vfsmount* mnt = BPF_CORE_READ(file, f_path.mnt);

  return mnt && !BPF_CORE_READ(mount_of(mnt), mnt_ns);
}

/* Walks from a file to the given root, or if it does not lead there, to the root of its mount tree:
 * never to the caller's own root, which it could have moved. Returns the user's buffer of this CPU;
 * a walk that is cut off says so. */
static __always_inline struct path_buffer* path_of_file(struct file* file,
                                                        struct process_root* root, __u32 user) {
  struct vfsmount* mnt = BPF_CORE_READ(file, f_path.mnt);
  struct path_buffer* b;

  if (path_walk((__u64)BPF_CORE_READ(file, f_path.dentry), (__u64)mount_of(mnt), root->dentry,
                (__u64)mount_of((void*)root->mount), user)) {
    b = bpf_map_lookup_elem(&scratch_path, &user);
    if (b) return b;
  }
  count_error(WIRE_ERROR_SCRATCH);
  return NULL;
}
