/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/flavors.h"
#include "bpf/wire/exec.h"

/* Since 6.13 the highest bit says that somebody has asked for the time: no part of it. */
#define CTIME_NSEC_MASK 0x7fffffffU

/* Reads a field of an inode that the verifier knows (READ is a plain load) or of one whose address
 * came from a calculation (READ is a probe read, ten times as dear). */
#define FILL_CODE(to, from, READ)                                                                \
  do {                                                                                           \
    (to)->device = READ(from, i_sb, s_dev);                                                      \
    (to)->inode = READ(from, i_ino);                                                             \
    (to)->generation = READ(from, i_generation);                                                 \
    (to)->size_bytes = READ(from, i_size);                                                       \
    (to)->flags = 0;                                                                             \
    if (bpf_core_field_exists(struct inode___ctime_parts, i_ctime_sec)) {                        \
      struct inode___ctime_parts* i = (void*)(from);                                             \
      (to)->change_time_ns =                                                                     \
          READ(i, i_ctime_sec) * 1000000000ULL + (READ(i, i_ctime_nsec) & CTIME_NSEC_MASK);      \
    } else if (bpf_core_field_exists(struct inode___ctime_underscore, __i_ctime)) {              \
      struct inode___ctime_underscore* i = (void*)(from);                                        \
      (to)->change_time_ns =                                                                     \
          READ(i, __i_ctime.tv_sec) * 1000000000ULL + READ(i, __i_ctime.tv_nsec);                \
    } else {                                                                                     \
      struct inode___ctime* i = (void*)(from);                                                   \
      (to)->change_time_ns = READ(i, i_ctime.tv_sec) * 1000000000ULL + READ(i, i_ctime.tv_nsec); \
    }                                                                                            \
  } while (0)

#define LOAD_1(p, a) ((p)->a)
#define LOAD_2(p, a, b) ((p)->a->b)
#define LOAD_PICK(_1, _2, NAME, ...) NAME
#define LOAD(p, ...) LOAD_PICK(__VA_ARGS__, LOAD_2, LOAD_1)(p, __VA_ARGS__)

/* The inode that holds the data of an overlay inode, and whether it is in the upper layer. NULL
 * where overlayfs is unknown to this kernel's BTF. */
static __always_inline struct inode* overlay_real_inode(struct inode* inode, bool* upper) {
  struct dentry* dentry = NULL;
  void* ovl;

  *upper = false;
  if (bpf_core_field_exists(struct ovl_inode___entry, oe)) {
    ovl = (void*)inode - bpf_core_field_offset(struct ovl_inode___entry, vfs_inode);
    dentry = BPF_CORE_READ((struct ovl_inode___entry*)ovl, __upperdentry);
    if (dentry)
      *upper = true;
    else
      dentry = BPF_CORE_READ((struct ovl_inode___entry*)ovl, oe, __lowerstack[0].dentry);
  } else if (bpf_core_field_exists(struct ovl_inode___lowerpath, lowerpath)) {
    ovl = (void*)inode - bpf_core_field_offset(struct ovl_inode___lowerpath, vfs_inode);
    dentry = BPF_CORE_READ((struct ovl_inode___lowerpath*)ovl, __upperdentry);
    if (dentry)
      *upper = true;
    else
      dentry = BPF_CORE_READ((struct ovl_inode___lowerpath*)ovl, lowerpath.dentry);
  } else if (bpf_core_field_exists(struct ovl_inode___lower, lower)) {
    ovl = (void*)inode - bpf_core_field_offset(struct ovl_inode___lower, vfs_inode);
    dentry = BPF_CORE_READ((struct ovl_inode___lower*)ovl, __upperdentry);
    if (!dentry) return BPF_CORE_READ((struct ovl_inode___lower*)ovl, lower);
    *upper = true;
  }
  return dentry ? BPF_CORE_READ(dentry, d_inode) : NULL;
}

static __always_inline bool starts_with_memfd(struct dentry* dentry) {
  char name[6] = {};

  bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
  return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' &&
         name[5] == ':';
}

/* Makes the key of a file's code and says where the code came from. The only place that makes keys
 * of code. Any context. is_typed: the verifier knows what `file` points to; else, and where speed
 * is nothing, all is read by probe reads, which cost the verifier less. A constant. */
static __always_inline __u8 read_code(struct file* file, struct wire_code* code, bool is_typed) {
  struct inode* inode = is_typed ? file->f_inode : BPF_CORE_READ(file, f_inode);
  __u64 magic = is_typed ? inode->i_sb->s_magic : BPF_CORE_READ(inode, i_sb, s_magic);
  __u32 links;

  if (magic == OVERLAYFS_SUPER_MAGIC) {
    bool upper;
    struct inode* real = overlay_real_inode(inode, &upper);

    if (real) {
      FILL_CODE(code, real, BPF_CORE_READ);
      links = is_typed ? inode->i_nlink : BPF_CORE_READ(inode, i_nlink);
      if (links == 0) return WIRE_ORIGIN_DELETED;
      return upper ? WIRE_ORIGIN_WRITABLE_LAYER : WIRE_ORIGIN_IMAGE;
    }
  }
  if (is_typed)
    FILL_CODE(code, inode, LOAD);
  else
    FILL_CODE(code, inode, BPF_CORE_READ);
  links = is_typed ? inode->i_nlink : BPF_CORE_READ(inode, i_nlink);
  if (links == 0)
    return magic == TMPFS_MAGIC && starts_with_memfd(BPF_CORE_READ(file, f_path.dentry))
               ? WIRE_ORIGIN_MEMFD
               : WIRE_ORIGIN_DELETED;
  return magic == FUSE_SUPER_MAGIC ? WIRE_ORIGIN_UNTRUSTED_FS : WIRE_ORIGIN_HOST;
}

static __always_inline __u8 code_of_file(struct file* file, struct wire_code* code) {
  return read_code(file, code, true);
}
