/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/file.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define MAJOR(device) ((device) >> 20)
#define MINOR(device) ((device) & 0xfffff)
#define MEMORY_MAJOR 1   /* /dev/null and its like */
#define TERMINAL_MAJOR 5 /* /dev/tty, /dev/console, /dev/ptmx */
#define FIRST_PTS_MAJOR 136
#define LAST_PTS_MAJOR 143

/* Terminals, /dev/null and its like, and pipes without a name are opened for writing by everybody
 * and keep nothing. */
static __always_inline bool keeps_nothing(struct file* file) {
  struct dentry* dentry = BPF_CORE_READ(file, f_path.dentry);
  __u32 mode = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
  __u32 device;

  if (mode == S_IFIFO) return BPF_CORE_READ(dentry, d_parent) == dentry;
  if (mode != S_IFCHR) return false;
  device = BPF_CORE_READ(file, f_inode, i_rdev);
  switch (MAJOR(device)) {
    case MEMORY_MAJOR: /* null, zero, full, random, urandom; not mem, port, kmsg */
      return MINOR(device) == 3 || MINOR(device) == 5 || (MINOR(device) >= 7 && MINOR(device) <= 9);
    case TERMINAL_MAJOR:
      return true;
    default:
      return MAJOR(device) >= FIRST_PTS_MAJOR && MAJOR(device) <= LAST_PTS_MAJOR;
  }
}

/* Is the path in the per-CPU buffer a listed one? */
static __always_inline bool is_listed(struct file_act* act, struct path_buffer* path) {
  __u32 bytes = WIRE_PATH_BYTES - path->begin;

  if (path->cut || bytes >= WIRE_WATCHED_BYTES) return false;
  __builtin_memset(&act->path, 0, sizeof(act->path));
  bpf_probe_read_kernel(act->path.path, bytes & (WIRE_WATCHED_BYTES - 1),
                        &path->bytes[path->begin & 4095]);
  return bpf_map_lookup_elem(&vd_watched, &act->path);
}

/* A file was opened by an act that is looked at. Not static: verified once. */
__noinline int file_opened(__u64 file_at, __u32 verb) {
  struct lookup l = {.cache = WIRE_CACHE_FILE};
  struct task_struct* task = bpf_get_current_task_btf();
  struct file* file = (void*)file_at;
  struct file_act* act = file_act();
  struct path_buffer* path = NULL;
  struct process_context* p;
  struct governed g;
  enum act_class class;

  if (!act) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  if (keeps_nothing(file)) return 0;
  /* A file without a name is made by its open, though the kernel does not mark it so. */
  if (BPF_CORE_READ(file, f_flags) & O_TMPFILE_BIT) verb = WIRE_VERB_FILE_CREATE;
  p = opener(task);
  if (!p) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  if (verb == WIRE_VERB_FILE_READ) {
    path = path_of_file(file, &p->root, PATH_OF_ACT);
    if (!path || !is_listed(act, path)) return 0;
  }
  if (!read_access(file_at, verb)) return 0;
  act->key.subject = p->wire.code;
  act->flags = (p->flags & PROCESS_HOMELESS) ? WIRE_FILE_REBUILT : 0;
  if (!act->key.name) act->flags |= WIRE_FILE_UNNAMED;
  governed_by(p->wire.home_cgroup_id, &g);
  look_up_file(file, act, &g, &l);
  if (verb == WIRE_VERB_FILE_CREATE) remember_birth(act, g.key.workload);
  class = classify(&g, &l);
  if (class == ACT_NEWS || class == ACT_TAPPED) {
    process_refresh(p, task);
    if (!path) path = path_of_file(file, &p->root, PATH_OF_ACT);
    if (path) {
      report_file(p, act, path, &g, &l, class);
    } else {
      lane_dropped(class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_FILE);
      if (class == ACT_NEWS) claim(&g, &l, &act->key, &p->wire.id, false);
    }
  }
  count_act(&g, &l, bpf_ktime_get_boot_ns());
  return 0;
}

/* A system call returns; in the context of the process that made it. Every call of everybody passes
 * here, so that what is no open is over at once, and one for reading nearly so. */
SEC("tp_btf/sys_exit")
int BPF_PROG(files_sys_exit, struct pt_regs* regs, long ret) {
  struct task_struct* task;
  struct wire_watch* watch;
  __u32 zero = 0;
  __u32 bit;
  __u64 file;
  __u32 mode;

  if (ret < 0) return 0;
  task = bpf_get_current_task_btf();
  if (!opens_file(regs->orig_ax, task)) return 0;
  file = file_at(task, ret);
  if (!file) return 0;
  mode = mode_of(file);
  if (mode & (FMODE_WRITE | FMODE_CREATED))
    return file_opened(file, mode & FMODE_CREATED ? WIRE_VERB_FILE_CREATE : WIRE_VERB_FILE_WRITE);
  if (!(mode & FMODE_READ)) return 0;
  watch = bpf_map_lookup_elem(&vd_watch, &zero);
  if (!watch) return 0;
  bit = watch_bit(file);
  if (!(watch->bits[(bit >> 6) & (WIRE_WATCH_WORDS - 1)] >> (bit & 63) & 1)) return 0;
  return file_opened(file, WIRE_VERB_FILE_READ);
}
