/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/process.h"
#include "bpf/lib/hash.h"
#include "bpf/lib/path.h"
#include "bpf/lib/verdict.h"
#include "bpf/wire/credential.h"
#include "bpf/wire/exec.h"
#include "bpf/wire/exit.h"
#include "bpf/wire/fork.h"

#define CLONE_THREAD 0x00010000

char _license[] SEC("license") = "Dual BSD/GPL";

/* What one exec is about, gathered before anything is decided. Not on the stack, which holds 512
 * bytes for a program and what it calls. */
struct exec_act {
  struct wire_code_key key;
  struct wire_code parent_code;
  struct wire_exec_id previous;
  struct wire_credentials before;
  __u64 script[HASH_INPUT_WORDS]; /* its name */
  __u32 script_bytes;             /* 0: not a script */
  __u32 origin;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct exec_act);
} scratch_exec SEC(".maps");

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
  __builtin_memcpy(&r->process, &p->wire, sizeof(r->process));
  lane_submit(WIRE_LANE_TAP, &r->header, false);
}

/* A new task, io_uring workers too; in the parent's context, before the child runs. */
SEC("tp_btf/task_newtask")
int BPF_PROG(process_newtask, struct task_struct* task, __u64 clone_flags) {
  struct process_context *parent, *p;
  struct governed g;
  __u32 tgid = task->tgid;
  __u64 cgroup_id;

  if (clone_flags & CLONE_THREAD) return 0;
  parent = process_current();
  if (!parent) return 0;
  if (bpf_map_update_elem(&vd_processes, &tgid, parent, BPF_ANY)) {
    count_error(WIRE_ERROR_PROCESS_TABLE);
    return 0;
  }
  p = process_find(tgid);
  if (!p) return 0;
  p->flags = 0;
  p->wire.parent = parent->wire.id;
  push_ancestor(&p->wire, &parent->wire);
  p->wire.tgid = tgid;
  p->wire.parent_tgid = parent->wire.tgid;
  p->wire.id.tgid = tgid;
  p->wire.id.start_ns = bpf_ktime_get_boot_ns();
  bpf_probe_read_kernel(p->wire.comm, sizeof(p->wire.comm), task->comm);
  /* clone3 may start the child in another cgroup; then the parent is who moved it. */
  cgroup_id = task_cgroup_id(task);
  if (cgroup_id != bpf_get_current_cgroup_id() && may_place(p->wire.home_cgroup_id, parent)) {
    p->wire.home_cgroup_id = cgroup_id;
    p->pending_cgroup = 0;
  }
  p->wire.cgroup_id = cgroup_id;
  governed_by(p->wire.home_cgroup_id, &g);
  p->wire.workload = g.key.workload;
  if (is_tapped(&g)) emit_fork(p, &g);
  return 0;
}

/* The script's name as its caller gave it, when the kernel runs an interpreter for it. */
static __always_inline void read_script(struct linux_binprm* bprm, struct exec_act* act) {
  long bytes;

  act->script_bytes = 0;
  __builtin_memset(act->script, 0, sizeof(act->script));
  if (bprm->interp == bprm->filename) return;
  bytes = bpf_probe_read_kernel_str(act->script, sizeof(act->script), bprm->filename);
  if (bytes > 1 && bytes <= (long)sizeof(act->script)) act->script_bytes = bytes - 1;
}

/* The keyed hash of the script's name in the per-CPU buffer. Not static: verified once. */
__noinline __u64 hash_script(void) {
  __u32 zero = 0;
  struct exec_act* act = bpf_map_lookup_elem(&scratch_exec, &zero);

  return act && act->script_bytes ? keyed_hash(act->script, act->script_bytes) : 0;
}

static __always_inline void fill_exec(struct wire_exec* r, struct process_context* p,
                                      struct exec_act* act) {
  FILL_HEADER(r, EXEC);
  __builtin_memcpy(&r->process, &p->wire, sizeof(r->process));
  r->parent_code = act->parent_code;
  r->previous = act->previous;
  r->key = act->key;
  r->origin = act->origin;
  r->flags = 0;
}

/* Copies the strings into the record's areas of the given sizes, which must be constants. */
#define FILL_EXEC_STRINGS(r, path, act, PATH, ARGV, SCRIPT)                                   \
  do {                                                                                        \
    __u64 start = mm->arg_start;                                                              \
    __u64 argv_bytes = mm->arg_end - start;                                                   \
    __u32 path_bytes = WIRE_PATH_BYTES - (path)->begin;                                       \
    (r)->exec.root_device = (path)->root_device;                                              \
    (r)->exec.root_inode = (path)->root_inode;                                                \
    if ((path)->cut) (r)->exec.flags |= WIRE_EXEC_PATH_CUT;                                   \
    if (path_bytes > (PATH)) path_bytes = (PATH);                                             \
    bpf_probe_read_kernel((r)->path, path_bytes, &(path)->bytes[(path)->begin & 4095]);       \
    (r)->exec.path_bytes = path_bytes;                                                        \
    if (argv_bytes > (ARGV)) {                                                                \
      argv_bytes = (ARGV);                                                                    \
      (r)->exec.flags |= WIRE_EXEC_ARGV_CUT;                                                  \
    }                                                                                         \
    if (bpf_probe_read_user((r)->argv, argv_bytes, (void*)start)) {                           \
      argv_bytes = 0;                                                                         \
      (r)->exec.flags |= WIRE_EXEC_ARGV_CUT;                                                  \
      count_error(WIRE_ERROR_READ);                                                           \
    }                                                                                         \
    (r)->exec.argv_bytes = argv_bytes;                                                        \
    (r)->exec.script_bytes = (act)->script_bytes > (SCRIPT) ? (SCRIPT) : (act)->script_bytes; \
    if ((act)->script_bytes) (r)->exec.flags |= WIRE_EXEC_SCRIPT;                             \
    __builtin_memcpy((r)->script, (act)->script, (SCRIPT));                                   \
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

static __always_inline bool report_exec(struct task_struct* task, struct linux_binprm* bprm,
                                        struct process_context* p, struct exec_act* act,
                                        struct governed* g, struct lookup* l,
                                        enum act_class class) {
  __u32 lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_CODE;
  struct mm_struct* mm = task->mm; /* before the walk, after which there are many paths */
  struct path_buffer* path;

  process_refresh(p, task);
  path = path_of_file(bprm->file);
  if (!path) return false;
  if (WIRE_PATH_BYTES - path->begin <= WIRE_PATH_SMALL_BYTES &&
      mm->arg_end - mm->arg_start <= WIRE_ARGV_SMALL_BYTES &&
      act->script_bytes <= WIRE_SCRIPT_SMALL_BYTES) {
    struct wire_exec_small* r = lane_reserve(lane, sizeof(*r));

    if (r) {
      fill_exec(&r->exec, p, act);
      r->exec.header.size = sizeof(*r);
      FILL_EXEC_STRINGS(r, path, act, WIRE_PATH_SMALL_BYTES, WIRE_ARGV_SMALL_BYTES,
                        WIRE_SCRIPT_SMALL_BYTES);
      return finish_exec(&r->exec, act, g, l, class);
    }
  } else {
    struct wire_exec_large* r = lane_reserve(lane, sizeof(*r));

    if (r) {
      fill_exec(&r->exec, p, act);
      r->exec.header.size = sizeof(*r);
      r->exec.flags |= WIRE_EXEC_LARGE;
      FILL_EXEC_STRINGS(r, path, act, WIRE_PATH_BYTES, WIRE_ARGV_BYTES, WIRE_SCRIPT_BYTES);
      return finish_exec(&r->exec, act, g, l, class);
    }
  }
  lane_dropped(lane);
  if (class == ACT_NEWS) claim(g, l, &act->key, &p->wire.id, false);
  return false;
}

static __noinline void credential_act(struct task_struct* task, struct process_context* p,
                                      struct wire_credentials* before, struct governed* g) {
  struct wire_code_key key = {.verb = WIRE_VERB_CREDENTIAL};
  struct lookup l = {.cache = WIRE_CACHE_CODE};
  struct wire_credentials* now = &p->wire.credentials;
  enum act_class class;
  struct wire_credential* r;
  __u32 lane;

  key.subject = p->wire.code;
  key.object.device = (__u64)before->euid << 32 | before->egid;
  key.object.inode = (__u64)now->euid << 32 | now->egid;
  key.object.change_time_ns = (__u64)now->uid << 32 | now->gid;
  key.object.size_bytes = (__u64)before->uid << 32 | before->gid;
  key.name = now->cap_effective & ~before->cap_effective;
  l.inner = bpf_map_lookup_elem(&vd_code_cache, &g->key);
  if (l.inner) l.verdict = bpf_map_lookup_elem(l.inner, &key);
  class = classify(g, &l);
  if (class == ACT_NEWS || class == ACT_TAPPED) {
    lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_CODE;
    r = lane_reserve(lane, sizeof(*r));
    if (!r) {
      lane_dropped(lane);
      if (class == ACT_NEWS) claim(g, &l, &key, &p->wire.id, false);
    } else if (class == ACT_NEWS && !claim(g, &l, &key, &p->wire.id, true)) {
      bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    } else {
      process_refresh(p, task);
      FILL_HEADER(r, CREDENTIAL);
      r->header.lane = lane;
      r->header.reason = class == ACT_TAPPED ? WIRE_REASON_TAP : WIRE_REASON_NEWS;
      fill_slot(&r->header, g, &l);
      __builtin_memcpy(&r->process, &p->wire, sizeof(r->process));
      r->before = *before;
      r->key = key;
      lane_submit(lane, &r->header, false);
    }
  }
  count_act(g, &l);
}

/* Capabilities that were given up are no news; a user or group that changed is. */
static __always_inline bool is_gain(const struct wire_credentials* before,
                                    const struct wire_credentials* now) {
  return before->euid != now->euid || before->egid != now->egid || before->uid != now->uid ||
         (now->cap_effective & ~before->cap_effective);
}

/* A program was executed, nothing of it has run; in the context of the process. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct* task, int old_pid, struct linux_binprm* bprm) {
  struct process_context* p = process_current();
  struct lookup l = {.cache = WIRE_CACHE_CODE};
  struct governed g;
  struct exec_act* act;
  enum act_class class;
  __u32 zero = 0;

  if (!p) return 0;
  act = bpf_map_lookup_elem(&scratch_exec, &zero);
  if (!act) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  read_script(bprm, act);
  act->parent_code = p->wire.code;
  act->previous = p->wire.id;
  act->before = p->wire.credentials;
  read_credentials(task, &p->wire.credentials);
  act->origin = code_of_file(bprm->file, &p->wire.code);
  p->wire.id.start_ns = bpf_ktime_get_boot_ns();
  p->wire.cgroup_id = bpf_get_current_cgroup_id();
  if (p->pending_cgroup && p->pending_cgroup == p->wire.cgroup_id) {
    p->wire.home_cgroup_id = p->pending_cgroup;
    p->pending_cgroup = 0;
  }
  bpf_probe_read_kernel(p->wire.comm, sizeof(p->wire.comm), task->comm);
  governed_by(p->wire.home_cgroup_id, &g);
  p->wire.workload = g.key.workload;

  act->key.verb = WIRE_VERB_EXEC;
  act->key.subject = act->parent_code;
  act->key.object = p->wire.code;
  act->key.name = hash_script();
  l.inner = bpf_map_lookup_elem(&vd_code_cache, &g.key);
  if (l.inner) l.verdict = bpf_map_lookup_elem(l.inner, &act->key);
  class = classify(&g, &l);
  p->flags &= ~PROCESS_NEWS;
  if ((class == ACT_NEWS || class == ACT_TAPPED) && report_exec(task, bprm, p, act, &g, &l, class))
    p->flags |= PROCESS_NEWS;
  count_act(&g, &l);
  if (is_gain(&act->before, &p->wire.credentials)) credential_act(task, p, &act->before, &g);
  return 0;
}

static __always_inline void emit_exit(struct task_struct* task, struct process_context* p,
                                      struct governed* g, bool news) {
  __u32 lane = news ? WIRE_LANE_CODE : WIRE_LANE_TAP;
  struct wire_exit* r = lane_reserve(lane, sizeof(*r));

  if (!r) {
    lane_dropped(lane);
    return;
  }
  FILL_HEADER(r, EXIT);
  r->header.lane = lane;
  r->header.reason = news ? WIRE_REASON_FOLLOW_UP : WIRE_REASON_TAP;
  r->header.slot.workload = g->key.workload;
  __builtin_memcpy(&r->process, &p->wire, sizeof(r->process));
  r->lifetime_ns = r->header.boot_ns - p->wire.id.start_ns;
  r->status = task->exit_code;
  r->pad = 0;
  lane_submit(lane, &r->header, false);
}

/* A thread ends; the last one of its process ends the context. In the context of the thread. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct* task) {
  struct wire_credentials before;
  struct process_context* p;
  struct governed g;
  __u32 tgid = task->tgid;

  if (task->signal->live.counter != 0) return 0;
  p = process_find(tgid);
  if (!p) return 0;
  governed_by(p->wire.home_cgroup_id, &g);
  before = p->wire.credentials;
  read_credentials(task, &p->wire.credentials);
  if (is_gain(&before, &p->wire.credentials)) credential_act(task, p, &before, &g);
  if ((p->flags & PROCESS_NEWS) || is_tapped(&g)) emit_exit(task, p, &g, p->flags & PROCESS_NEWS);
  bpf_map_delete_elem(&vd_processes, &tgid);
  return 0;
}
