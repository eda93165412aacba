/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/file_opened.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* The one program that uses the buffers, and its CPU runs it once at a time: one is enough. */
static __always_inline int tell(__u64 file, __u32 verb) {
  return file_opened(PATH_OF_ACT, file, verb, WIRE_HOOK_SYS_EXIT);
}

/* A system call returns; in the context of the process that made it. Every call of everybody passes
 * here, so that what is no open is over at once, and one for reading nearly so. */
SEC("tp_btf/sys_exit")
int BPF_PROG(files_sys_exit, struct pt_regs* regs, long ret) {
  struct task_struct* task;
  __u64 file;
  __u32 mode;

  if (ret < 0) return 0;
  task = bpf_get_current_task_btf();
  if (!opens_file(regs->orig_ax, task)) return 0;
  file = file_at(task, ret);
  if (!file) return 0;
  mode = mode_of(file);
  if (mode & (FMODE_WRITE | FMODE_CREATED))
    return tell(file, mode & FMODE_CREATED ? WIRE_VERB_FILE_CREATE : WIRE_VERB_FILE_WRITE);
  if (!(mode & FMODE_READ)) return 0;
  if (!may_be_listed(watch_bit(file))) return 0;
  return tell(file, WIRE_VERB_FILE_READ);
}
