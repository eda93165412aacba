/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The programs of BPF LSM stay on their CPU and are preempted there, by tasks that open files, too.
 */
#define ACT_BUFFERS 4
#include "bpf/lib/file_opened.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define MAX_ERRNO 4095

/* Not 0: an act is in the middle of using the buffers of this number. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ACT_BUFFERS);
  __type(key, __u32);
  __type(value, __u32);
} scratch_busy SEC(".maps");

/* Does the kernel open it for itself? overlayfs opens the file below one that is opened, in the
 * context of who opens that, and copies it: not counted among open files, or by a mount of its own
 * that is in no tree and not, as that of memfds is, all there is of its filesystem. */
static __always_inline bool is_the_kernels(struct file* file, __u32 mode) {
  struct vfsmount* mnt;
  __u64 tree;

  if (mode & FMODE_NOACCOUNT) return true;
  mnt = BPF_CORE_READ(file, f_path.mnt);
  tree = (__u64)BPF_CORE_READ(mount_of(mnt), mnt_ns);
  return tree >= (__u64)-MAX_ERRNO && !(BPF_CORE_READ(mnt, mnt_sb, s_flags) & SB_KERNMOUNT);
}

/* In buffers that no act on this CPU is using. Where there are none it is not told, and counted. */
static __always_inline void tell(struct file* file, __u32 verb) {
  __u32* busy;

  for (__u32 buffer = 0; buffer < ACT_BUFFERS; buffer++) {
    __u32 key = buffer;

    busy = bpf_map_lookup_elem(&scratch_busy, &key);
    if (!busy || __sync_val_compare_and_swap(busy, 0, 1)) continue;
    file_opened(buffer, address_of(file), verb, WIRE_HOOK_FILE_OPEN);
    *busy = 0;
    return;
  }
  count_error(WIRE_ERROR_SCRATCH);
}

/* The bit of its last name in struct wire_watch. */
static __always_inline __u32 bit_of_name(struct file* file) {
  struct dentry* dentry = file->f_path.dentry;
  __u8 first = 0;

  bpf_probe_read_kernel(&first, 1, dentry->d_name.name);
  return wire_watch_bit(dentry->d_name.len, first);
}

/* A file is about to be opened, whichever way was taken to it; in the context of who opens it, or
 * of a worker of his io_uring. Another security module can still refuse it, and so can its
 * filesystem. An execution opens its program, too, and is told as what it is. */
SEC("lsm/file_open")
int BPF_PROG(files_lsm_open, struct file* file) {
  __u32 mode = file->f_mode;
  __u32 verb = mode & FMODE_CREATED ? WIRE_VERB_FILE_CREATE
               : mode & FMODE_WRITE ? WIRE_VERB_FILE_WRITE
                                    : WIRE_VERB_FILE_READ;

  if (verb == WIRE_VERB_FILE_READ) {
    if (!(mode & FMODE_READ) || (file->f_flags & FMODE_EXEC)) return 0;
    if (!may_be_listed(bit_of_name(file))) return 0;
  }
  if (bpf_get_current_task_btf()->flags & PF_KTHREAD) return 0;
  if (!is_the_kernels(file, mode)) tell(file, verb);
  return 0;
}
