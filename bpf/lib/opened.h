/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* From a system call's exit to the file that it opened. */

#include "bpf/lib/flavors.h"
#include "bpf/wire/file.h"

/* Gives an address the type that it has, so that fields are read by plain loads that cannot fault,
 * a tenth of the cost of a probe read. */
extern void* bpf_rdonly_cast(const void* address, __u32 type) __ksym __weak;

static __always_inline bool has_cast(void) {
  return bpf_core_enum_value_exists(enum special_kfunc_type___cast, KF_bpf_rdonly_cast___cast);
}

#define CAST(address, type) \
  ((type*)bpf_rdonly_cast((void*)(address), bpf_core_type_id_kernel(type)))

#define X32_SYSCALL_BIT 0x40000000

/* Does this system call return the descriptor of a file that it opened? Numbers of x86: open,
 * openat, creat, open_by_handle_at, openat2. */
static __always_inline bool opens_file(__u64 number, struct task_struct* task) {
  switch (number & ~(__u64)X32_SYSCALL_BIT) {
    case 437:
      return true;
    case 2:
    case 257:
    case 85:
    case 304:
      return !(task->thread_info.status & TS_COMPAT);
    case 5:
    case 295:
    case 8:
    case 342:
      return task->thread_info.status & TS_COMPAT;
    default:
      return false;
  }
}

/* The file behind a descriptor of the current process; an address, not to be followed as it is. */
static __always_inline __u64 file_at(struct task_struct* task, __u64 fd) {
  struct fdtable* table = task->files->fdt;
  struct file** slot;
  __u64 file = 0;

  if (fd >= table->max_fds) return 0;
  slot = table->fd + fd;
  /* Any type that begins with such a number gives the word. */
  if (has_cast()) return CAST(slot, struct thread_info)->flags;
  bpf_probe_read_kernel(&file, sizeof(file), slot);
  return file;
}

static __always_inline __u32 mode_of(__u64 file) {
  if (has_cast()) return CAST(file, struct file)->f_mode;
  return BPF_CORE_READ((struct file*)file, f_mode);
}

/* The bit of an opened file's last name in struct wire_watch. */
static __always_inline __u32 watch_bit(__u64 file) {
  struct dentry* dentry;
  __u64 hash_len;
  __u8 first = 0;

  if (has_cast()) {
    dentry = CAST(file, struct file)->f_path.dentry;
    /* Again a type that begins with a number. */
    return wire_watch_bit(dentry->d_name.len, CAST(dentry->d_name.name, struct qstr)->hash);
  }
  dentry = BPF_CORE_READ((struct file*)file, f_path.dentry);
  hash_len = BPF_CORE_READ(dentry, d_name.hash_len);
  bpf_probe_read_kernel(&first, 1, BPF_CORE_READ(dentry, d_name.name));
  return wire_watch_bit(hash_len >> 32, first);
}
