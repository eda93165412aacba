/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The one way from an open to its behaviour, whichever hook saw it. */

#include "bpf/lib/file.h"

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

/* Could a listed path end with a name that has this bit? */
static __always_inline bool may_be_listed(__u32 bit) {
  __u32 zero = 0;
  struct wire_watch* watch = bpf_map_lookup_elem(&vd_watch, &zero);

  return watch && watch->bits[(bit >> 6) & (WIRE_WATCH_WORDS - 1)] >> (bit & 63) & 1;
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

/* A file is opened by an act that is looked at. Not static: verified once. */
__noinline int file_opened(__u32 buffer, __u64 file_at, __u32 verb, __u32 hook) {
  struct lookup l = {.cache = WIRE_CACHE_FILE};
  struct task_struct* task = bpf_get_current_task_btf();
  struct file* file = (void*)file_at;
  struct file_act* act = file_act(buffer);
  struct path_buffer* path = NULL;
  struct process_context* p;
  struct governed g;
  enum act_class class;

  if (!act) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  if (keeps_nothing(file)) return 0;
  act->hook = hook;
  act->buffer = buffer;
  /* A file without a name is made by its open, though the kernel does not mark it so. */
  if (BPF_CORE_READ(file, f_flags) & O_TMPFILE_BIT) verb = WIRE_VERB_FILE_CREATE;
  p = opener(task, buffer);
  if (!p) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  if (verb == WIRE_VERB_FILE_READ) {
    path = path_of_file(file, &p->root, buffer);
    if (!path || !is_listed(act, path)) return 0;
  }
  if (!read_access(buffer, file_at, verb)) return 0;
  act->key.subject = p->wire.code;
  act->flags = (p->flags & PROCESS_HOMELESS) ? WIRE_FILE_REBUILT : 0;
  if (!act->key.name) act->flags |= WIRE_FILE_UNNAMED;
  governed_by(p->wire.home_cgroup_id, &g);
  look_up_file(file, act, &g, &l);
  if (verb == WIRE_VERB_FILE_CREATE) remember_birth(act, g.key.workload);
  class = classify(&g, &l);
  if (class == ACT_NEWS || class == ACT_TAPPED) {
    process_refresh(p, task);
    if (!path) path = path_of_file(file, &p->root, buffer);
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
