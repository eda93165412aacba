/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/process.h"
#include "bpf/lib/credential.h"
#include "bpf/lib/placement.h"
#include "bpf/wire/exec.h"
#include "bpf/wire/exit.h"
#include "bpf/wire/fork.h"

#define CLONE_THREAD 0x00010000
#define S_ISUID 04000
#define S_ISGID 02000
#define S_IXGRP 00010

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void emit_fork(struct process_context* p, struct governed* g) {
  struct wire_fork* r = lane_reserve(WIRE_LANE_TAP, sizeof(*r));

  if (!r) {
    lane_dropped(WIRE_LANE_TAP);
    return;
  }
  FILL_HEADER(r, FORK);
  r->header.lane = WIRE_LANE_TAP;
  r->header.reason = WIRE_REASON_TAP;
  r->header.slot.workload = g->key.workload;
  copy_process(&r->process, p);
  lane_submit(WIRE_LANE_TAP, &r->header, false);
}

/* What is known of a process that has no room in the table; valid during this act alone. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct process_context);
} scratch_process SEC(".maps");

/* A new task, io_uring workers too; in the parent's context, before the child runs. */
SEC("tp_btf/task_newtask")
int BPF_PROG(process_newtask, struct task_struct* task, __u64 clone_flags) {
  struct process_context *parent, *p;
  struct governed g;
  __u32 tgid = task->tgid;
  __u64 cgroup_id;
  bool placed;

  if (clone_flags & CLONE_THREAD) return 0;
  /* clone3 may start the child in another cgroup; then the parent is who moved it. */
  cgroup_id = task_cgroup_id(task);
  parent = process_current();
  if (!parent) return 0;
  placed =
      cgroup_id != bpf_get_current_cgroup_id() && may_place(parent->wire.home_cgroup_id, parent);
  governed_by(placed ? cgroup_id : parent->wire.home_cgroup_id, &g);
  if (!process_has_share(g.workload)) return 0;
  if (bpf_map_update_elem(&vd_processes, &tgid, parent, BPF_NOEXIST)) {
    /* Either no room, or one with this number ended unseen. */
    p = process_find(tgid);
    if (p) process_end(tgid, p->charged);
    if (!p || bpf_map_update_elem(&vd_processes, &tgid, parent, BPF_NOEXIST)) {
      count_error(WIRE_ERROR_PROCESS_TABLE);
      return 0;
    }
  }
  p = process_find(tgid);
  if (!p) return 0;
  process_charge(p, g.key.workload, g.workload);
  p->flags &= PROCESS_STARTING | PROCESS_DETACHED | PROCESS_COPY;
  p->wire.parent = parent->wire.id;
  push_ancestor(&p->wire, &parent->wire);
  p->wire.tgid = tgid;
  p->wire.parent_tgid = parent->wire.tgid;
  p->wire.id.tgid = tgid;
  p->wire.id.start_ns = bpf_ktime_get_boot_ns();
  bpf_probe_read_kernel(p->wire.comm, sizeof(p->wire.comm), task->comm);
  if (placed) {
    p->wire.home_cgroup_id = cgroup_id;
    p->pending_cgroup = 0;
    p->flags |= PROCESS_STARTING;
  }
  p->wire.cgroup_id = cgroup_id;
  p->wire.workload = g.key.workload;
  if (is_tapped(&g)) emit_fork(p, &g);
  return 0;
}

static __always_inline void fill_exec(struct wire_exec* r, struct process_context* p,
                                      struct exec_act* act) {
  FILL_HEADER(r, EXEC);
  copy_process(&r->process, p);
  r->parent_code = act->parent_code;
  r->previous = act->previous;
  r->key = act->key;
  r->origin = act->origin;
  r->flags = act->flags;
  r->filesystem = act->filesystem;
  r->pad = 0;
}

/* Copies the strings into the record's areas of the given sizes, which must be constants. */
#define FILL_EXEC_STRINGS(r, path, act, PATH, ARGV, SCRIPT)                              \
  do {                                                                                   \
    __u64 start = mm->arg_start;                                                         \
    __u64 argv_bytes = mm->arg_end - start;                                              \
    __u32 path_bytes = WIRE_PATH_BYTES - (path)->begin;                                  \
    __u32 script_bytes = (act)->script.bytes;                                            \
    (r)->exec.root_device = (path)->root_device;                                         \
    (r)->exec.root_inode = (path)->root_inode;                                           \
    if ((path)->cut) (r)->exec.flags |= WIRE_EXEC_PATH_CUT;                              \
    if (path_bytes > (PATH)) path_bytes = (PATH);                                        \
    bpf_probe_read_kernel((r)->path, path_bytes, &(path)->bytes[(path)->begin & 4095]);  \
    (r)->exec.path_bytes = path_bytes;                                                   \
    if (argv_bytes > (ARGV)) {                                                           \
      argv_bytes = (ARGV);                                                               \
      (r)->exec.flags |= WIRE_EXEC_ARGV_CUT;                                             \
    }                                                                                    \
    if (bpf_probe_read_user((r)->argv, argv_bytes, (void*)start)) {                      \
      argv_bytes = 0;                                                                    \
      (r)->exec.flags |= WIRE_EXEC_ARGV_CUT;                                             \
      count_error(WIRE_ERROR_READ);                                                      \
    }                                                                                    \
    (r)->exec.argv_bytes = argv_bytes;                                                   \
    if (script_bytes > (SCRIPT)) script_bytes = (SCRIPT);                                \
    /* Asked again of the one register that is used: 6.1 forgets the bound of a copy. */ \
    barrier_var(script_bytes);                                                           \
    (r)->exec.script_bytes = 0;                                                          \
    if (script_bytes && script_bytes <= (SCRIPT)) {                                      \
      (r)->exec.script_bytes = script_bytes;                                             \
      (r)->exec.flags |= WIRE_EXEC_SCRIPT;                                               \
      bpf_probe_read_kernel((r)->script, script_bytes, (act)->script.name);              \
    }                                                                                    \
  } while (0)

/* Submits the record when this CPU is the one to report, else takes it back. */
static __always_inline bool finish_exec(struct wire_exec* r, struct exec_act* act,
                                        struct governed* g, struct lookup* l,
                                        enum act_class class) {
  __u32 lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_CODE;

  /* Not the key in the record: until 6.2 a map takes none from a ring. */
  if (class == ACT_NEWS && !claim(g, l, &act->key, &r->process.id, true)) {
    bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    return false;
  }
  r->header.lane = lane;
  r->header.reason = class == ACT_TAPPED ? WIRE_REASON_TAP : WIRE_REASON_NEWS;
  fill_slot(&r->header, g, l);
  lane_submit(lane, &r->header, false);
  return class == ACT_NEWS;
}

/* The record of a new behaviour was lost: its entry is told later, with the name of its script. */
static __always_inline void keep_for_sweep(struct process_context* p, struct exec_act* act,
                                           struct governed* g, struct lookup* l) {
  if (act->script.bytes &&
      bpf_map_update_elem(&vd_lost_scripts, &act->key.name, &act->script, BPF_ANY))
    count_error(WIRE_ERROR_SCRIPT_TABLE);
  claim(g, l, &act->key, &p->wire.id, false);
}

/* is_made says whether there is one: 6.1 takes a record that is looked at twice for one that may be
 * NULL, and then for one that is never given back. */
struct exec_record {
  struct wire_exec* at;
  bool is_made;
};

/* A record of the size that the strings take, filled. None: there is no room, or no path. */
static __always_inline struct exec_record exec_record(struct mm_struct* mm,
                                                      struct process_context* p,
                                                      struct exec_act* act, __u32 lane) {
  struct file* file = BPF_CORE_READ(mm, exe_file);
  struct exec_record none = {};
  struct path_buffer* path;

  process_refresh(p, bpf_get_current_task_btf());
  act->filesystem = BPF_CORE_READ(file, f_inode, i_sb, s_magic);
  path = path_of_file(file, &p->root, PATH_OF_ACT);
  if (!path) return none;
  if (WIRE_PATH_BYTES - path->begin <= WIRE_PATH_SMALL_BYTES &&
      mm->arg_end - mm->arg_start <= WIRE_ARGV_SMALL_BYTES &&
      act->script.bytes <= WIRE_SCRIPT_SMALL_BYTES) {
    struct wire_exec_small* r = lane_reserve(lane, sizeof(*r));

    if (!r) return none;
    fill_exec(&r->exec, p, act);
    r->exec.header.size = sizeof(*r);
    FILL_EXEC_STRINGS(r, path, act, WIRE_PATH_SMALL_BYTES, WIRE_ARGV_SMALL_BYTES,
                      WIRE_SCRIPT_SMALL_BYTES);
    return (struct exec_record){&r->exec, true};
  } else {
    struct wire_exec_large* r = lane_reserve(lane, sizeof(*r));

    if (!r) return none;
    fill_exec(&r->exec, p, act);
    r->exec.header.size = sizeof(*r);
    r->exec.flags |= WIRE_EXEC_LARGE;
    FILL_EXEC_STRINGS(r, path, act, WIRE_PATH_BYTES, WIRE_ARGV_BYTES, WIRE_SCRIPT_BYTES);
    return (struct exec_record){&r->exec, true};
  }
}

static __always_inline struct process_context* exec_context(void) {
  struct process_context* p = process_find(bpf_get_current_pid_tgid() >> 32);
  __u32 zero = 0;

  return p ? p : bpf_map_lookup_elem(&scratch_process, &zero);
}

static __always_inline void look_exec_up(struct exec_act* act, struct governed* g,
                                         struct lookup* l) {
  l->inner = bpf_map_lookup_elem(&vd_code_cache, &g->key);
  if (l->inner) l->verdict = bpf_map_lookup_elem(l->inner, &act->key);
}

/* Tells of the current execution, which is news or tapped, and counts it. Not static: verified
 * once, and not once for each way that leads here; that is also why the cache is asked last. */
__noinline int report_exec(__u32 class) {
  struct lookup l = {.cache = WIRE_CACHE_CODE};
  struct mm_struct* mm = bpf_get_current_task_btf()->mm;
  __u32 lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_CODE;
  struct process_context* p;
  struct governed g;
  struct exec_act* act;
  struct exec_record r;
  __u32 zero = 0;

  barrier_var(mm);
  p = exec_context();
  act = bpf_map_lookup_elem(&scratch_exec, &zero);
  if (!p || !act) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  r = exec_record(mm, p, act, lane);
  barrier_var(r.is_made);
  still_governed_by(&act->governed, &g);
  look_exec_up(act, &g, &l);
  if (l.verdict) l.slot = l.verdict->slot;
  if (r.is_made) {
    if (finish_exec(r.at, act, &g, &l, class)) p->flags |= PROCESS_NEWS;
  } else {
    lane_dropped(lane);
    if (class == ACT_NEWS) keep_for_sweep(p, act, &g, &l);
  }
  count_act(&g, &l, p->wire.id.start_ns);
  return 0;
}

/* What an execution leads to, read once, before there are paths: see credentials_of. */
struct exec_objects {
  struct task_struct* task;
  struct linux_binprm* bprm;
  struct file* file;
  const struct cred* cred;
};

static __always_inline struct exec_objects exec_objects_of(struct task_struct* task,
                                                           struct linux_binprm* bprm) {
  struct exec_objects o = {.task = task, .bprm = bprm};

  o.file = bprm->file;
  o.cred = credentials_of(task);
  barrier_var(o.file);
  return o;
}

/* The process that executes. Where the table has no room for it, a context that lasts as long as
 * this act: its lineage and the code that it ran before are not known. */
static __always_inline struct process_context* exec_process(struct exec_objects* o,
                                                            struct exec_act* act) {
  struct task_struct* task = o->task;
  struct process_context* p = process_find(task->tgid);
  struct process_context* blank;
  __u32 zero = 0;

  act->flags = 0;
  if (p) {
    act->parent_code = p->wire.code;
    act->previous = p->wire.id;
    act->before = p->wire.credentials;
    return p;
  }
  /* The task has its new program already, so what it ran before cannot be read any more. */
  act->flags = WIRE_EXEC_REBUILT;
  __builtin_memset(&act->parent_code, 0, sizeof(act->parent_code));
  __builtin_memset(&act->previous, 0, sizeof(act->previous));
  count_error(WIRE_ERROR_NO_PROCESS);
  p = process_rebuild(task);
  if (!p) {
    blank = bpf_map_lookup_elem(&vd_blank_process, &zero);
    p = bpf_map_lookup_elem(&scratch_process, &zero);
    if (!p || !blank) return NULL;
    bpf_probe_read_kernel(p, sizeof(*p), blank);
    p->flags = PROCESS_REBUILT | PROCESS_HOMELESS;
    p->wire.tgid = task->tgid;
    p->wire.id.tgid = task->tgid;
    p->wire.home_cgroup_id = bpf_get_current_cgroup_id();
    read_credentials(o->cred, &p->wire.credentials);
  }
  act->before = p->wire.credentials;
  return p;
}

/* Was it this file that gave the process what it gained: by its set-user or set-group bit, or by
 * its capabilities? If not, the program before did it. A script's bits mean nothing to the kernel.
 */
static __always_inline bool is_gain_of_file(struct linux_binprm* bprm,
                                            const struct wire_credentials* before,
                                            const struct wire_credentials* now) {
  __u16 mode;

  if (!BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec)) return false;
  mode = BPF_CORE_READ(bprm, file, f_inode, i_mode);
  if ((mode & S_ISUID) || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) return true;
  return before->uid == now->uid && before->gid == now->gid && before->euid == now->euid &&
         before->egid == now->egid;
}

/* Looks at credentials where no look comes after this one. `now` is what the caller has read. */
static __noinline void look_for_the_last_time(struct process_context* p,
                                              struct wire_credentials* now) {
  struct governed g;

  if (look_at_credentials()) return;
  if (is_gain(&p->wire.credentials, now)) {
    governed_by(p->wire.home_cgroup_id, &g);
    novelty_lost(&g, WIRE_CACHE_CODE);
  }
  p->wire.credentials = *now;
}

/* What the process gained since the last look. True: by executing this file, which is told once the
 * context is that of the new program. What the program before did is told here, as its own. */
static __always_inline bool look_at_exec(struct exec_objects* o, struct process_context* p,
                                         struct exec_act* act) {
  struct wire_credentials now;

  read_credentials(o->cred, &now);
  if (is_gain(&act->before, &now)) {
    if (!is_gain_of_file(o->bprm, &act->before, &now)) {
      look_for_the_last_time(p, &now);
      return false;
    }
    p->wire.credentials = now;
    return true;
  }
  p->wire.credentials = now;
  return false;
}

/* A program was executed, nothing of it has run; in the context of the process. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct* task, int old_pid, struct linux_binprm* bprm) {
  struct lookup l = {.cache = WIRE_CACHE_CODE};
  struct exec_objects o = exec_objects_of(task, bprm);
  struct process_context* p;
  struct governed g;
  struct exec_act* act;
  enum act_class class;
  __u32 zero = 0;
  bool gained;

  act = bpf_map_lookup_elem(&scratch_exec, &zero);
  if (!act) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  act->origin = code_of_file(o.file, &act->key.object);
  p = exec_process(&o, act);
  if (!p) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  gained = look_at_exec(&o, p, act);
  read_script(bprm, act);
  p->wire.code = act->key.object;
  p->wire.id.start_ns = bpf_ktime_get_boot_ns();
  p->wire.cgroup_id = bpf_get_current_cgroup_id();
  adopt(task, p, act, is_copying_itself(bprm, p, act));
  note_root(p, task);
  note_place(o.file, p, act);
  bpf_probe_read_kernel(p->wire.comm, sizeof(p->wire.comm), task->comm);
  governed_by(p->wire.home_cgroup_id, &g);
  act->governed = g.key;
  p->wire.workload = g.key.workload;
  if (p->charged != g.key.workload && !(p->flags & PROCESS_HOMELESS)) {
    process_discharge(p->charged);
    process_charge(p, g.key.workload, g.workload);
  }

  act->key.verb = WIRE_VERB_EXEC;
  act->key.subject = act->parent_code;
  act->key.object = p->wire.code;
  act->key.name = hash_script(act);
  look_exec_up(act, &g, &l);
  class = classify(&g, &l);
  p->flags &= ~PROCESS_NEWS;
  if (class == ACT_NEWS || class == ACT_TAPPED)
    report_exec(class);
  else
    count_act(&g, &l, p->wire.id.start_ns);
  if (gained) {
    p->wire.credentials = act->before;
    look_at_credentials();
  }
  return 0;
}

static __always_inline void emit_exit(struct task_struct* task, struct process_context* p,
                                      struct governed* g, bool news) {
  __u32 lane = news ? WIRE_LANE_CODE : WIRE_LANE_TAP;
  struct wire_exit* r = lane_reserve(lane, sizeof(*r));

  if (!r) {
    if (process_end(task->tgid, p->charged)) lane_dropped(lane);
    return;
  }
  FILL_HEADER(r, EXIT);
  r->header.lane = lane;
  r->header.reason = news ? WIRE_REASON_FOLLOW_UP : WIRE_REASON_TAP;
  r->header.slot.workload = g->key.workload;
  copy_process(&r->process, p);
  r->lifetime_ns = r->header.boot_ns - p->wire.id.start_ns;
  r->status = task->exit_code;
  r->pad = 0;
  if (process_end(task->tgid, p->charged))
    lane_submit(lane, &r->header, false);
  else
    bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
}

/* A thread ends; the last one of its process ends the context. In the context of the thread. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct* task) {
  const struct cred* cred = credentials_of(task);
  struct wire_credentials now;
  struct process_context* p;
  struct governed g;
  __u32 tgid = task->tgid;

  if (task->signal->live.counter != 0) return 0;
  p = process_find(tgid);
  if (!p) return 0;
  read_credentials(cred, &now);
  if (!has_same_credentials(&now, &p->wire.credentials)) look_for_the_last_time(p, &now);
  if (!(p->flags & PROCESS_NEWS) && is_nothing_tapped()) {
    process_end(tgid, p->charged);
    return 0;
  }
  governed_by(p->wire.home_cgroup_id, &g);
  if ((p->flags & PROCESS_NEWS) || is_tapped(&g))
    emit_exit(task, p, &g, p->flags & PROCESS_NEWS);
  else
    process_end(tgid, p->charged);
  return 0;
}
