/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/wire/cgroup.h"
#include "bpf/lib/emit.h"
#include "bpf/lib/process.h"
#include "bpf/wire/move.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* These events are rare, so all is read by probe reads: they cost the verifier less.
 *
 * Hierarchy 0 is the one of cgroup v2, also where v1 hierarchies stand beside it. */
static __always_inline bool is_v2(struct cgroup* cgroup) {
  return BPF_CORE_READ(cgroup, root, hierarchy_id) == 0;
}

static __always_inline __u64 id_of(struct cgroup* cgroup) { return BPF_CORE_READ(cgroup, kn, id); }

static __always_inline __u64 parent_id(struct cgroup* cgroup) {
  struct kernfs_node* node = BPF_CORE_READ(cgroup, kn);
  struct kernfs_node* parent;

  if (bpf_core_field_exists(struct kernfs_node___rcu, __parent))
    parent = BPF_CORE_READ((struct kernfs_node___rcu*)node, __parent);
  else
    parent = BPF_CORE_READ((struct kernfs_node___plain*)node, parent);
  return parent ? BPF_CORE_READ(parent, id) : 0;
}

/* Puts a cgroup below `parent` into the share of its workload. False, counted: that is used up. */
static __always_inline bool charge_instance(const struct wire_instance* parent) {
  __u64 number = parent->workload;
  struct wire_workload* w = bpf_map_lookup_elem(&vd_workloads, &number);
  __u32* gone = bpf_map_lookup_elem(&vd_forgotten, &number);

  if (!w) return true;
  if (w->instances - (gone ? *gone : 0) >= WIRE_INSTANCE_SHARE) {
    count_error(WIRE_ERROR_INSTANCE_SHARE);
    return false;
  }
  __sync_fetch_and_add(&w->instances, 1);
  return true;
}

/* It has no place in the table after all. */
static __always_inline void discharge_instance(__u64 number) {
  struct wire_workload* w = bpf_map_lookup_elem(&vd_workloads, &number);

  if (w && w->instances) __sync_fetch_and_add(&w->instances, -1);
}

static __always_inline void emit_cgroup(struct cgroup* cgroup, const char* path, __u64 workload,
                                        __u8 change) {
  struct wire_cgroup* r = lane_reserve(WIRE_LANE_CODE, sizeof(*r));
  long bytes;

  if (!r) {
    lane_dropped(WIRE_LANE_CODE);
    return;
  }
  FILL_HEADER(r, CGROUP);
  r->header.lane = WIRE_LANE_CODE;
  r->header.reason = WIRE_REASON_CONTEXT;
  r->header.slot.workload = workload;
  r->cgroup_id = id_of(cgroup);
  r->parent_id = parent_id(cgroup);
  r->workload = workload;
  r->change = change;
  __builtin_memset(r->pad, 0, sizeof(r->pad));
  bytes = bpf_probe_read_kernel_str(r->path, sizeof(r->path), path);
  if (bytes < 0) {
    count_error(WIRE_ERROR_READ);
    bytes = 1;
  }
  r->path_bytes = bytes - 1;
  /* The kernel gives no more of it either. The agent reads the path itself. */
  r->path_cut = bytes == sizeof(r->path);
  if (r->path_cut) count_error(WIRE_ERROR_READ);
  lane_submit(WIRE_LANE_CODE, &r->header, true);
}

/* A cgroup was made, no process is in it yet; in the context of who made it. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup* cgroup, const char* path) {
  struct wire_instance fresh = {};
  struct wire_instance *parent, *known;
  __u64 id, above;
  long err;

  if (!is_v2(cgroup)) return 0;
  id = id_of(cgroup);
  above = parent_id(cgroup);
  parent = bpf_map_lookup_elem(&vd_instances, &above);
  if (parent && (parent->flags & WIRE_INSTANCE_INHERIT)) {
    if (!charge_instance(parent)) return 0;
    fresh = *parent;
    fresh.flags |= WIRE_INSTANCE_CHARGED;
  } else {
    fresh.workload = new_workload_number();
  }
  err = bpf_map_update_elem(&vd_instances, &id, &fresh, BPF_NOEXIST);
  if (err) {
    if (fresh.flags & WIRE_INSTANCE_CHARGED) discharge_instance(fresh.workload);
    /* The agent's walk has seen the directory before this, and given it its workload. */
    if (err != -EEXIST) count_error(WIRE_ERROR_INSTANCE_TABLE);
    known = bpf_map_lookup_elem(&vd_instances, &id);
    if (known) fresh.workload = known->workload;
  }
  emit_cgroup(cgroup, path, fresh.workload, WIRE_CGROUP_CREATED);
  return 0;
}

/* A cgroup without processes was removed; in the context of who removed it. The agent forgets the
 * instance after a grace period: a task moved out of it keeps its workload. */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_removed, struct cgroup* cgroup, const char* path) {
  struct wire_instance* instance;
  __u64 id;

  if (!is_v2(cgroup)) return 0;
  id = id_of(cgroup);
  instance = bpf_map_lookup_elem(&vd_instances, &id);
  emit_cgroup(cgroup, path, instance ? instance->workload : 0, WIRE_CGROUP_REMOVED);
  return 0;
}

static __always_inline void emit_move(struct process_context* moved, struct process_context* mover,
                                      __u64 to, bool adopted) {
  struct wire_move* r = lane_reserve(WIRE_LANE_CODE, sizeof(*r));

  if (!r) {
    lane_dropped(WIRE_LANE_CODE);
    return;
  }
  FILL_HEADER(r, MOVE);
  r->header.lane = WIRE_LANE_CODE;
  r->header.reason = WIRE_REASON_CONTEXT;
  r->header.slot.workload = moved->wire.workload;
  copy_process(&r->process, moved);
  r->to_cgroup_id = to;
  r->mover = mover->wire.id;
  r->mover_code = mover->wire.code;
  r->adopted = adopted;
  __builtin_memset(r->pad, 0, sizeof(r->pad));
  lane_submit(WIRE_LANE_CODE, &r->header, false);
}

/* A process was moved to another cgroup; in the context of who moved it. A placement takes effect
 * at the next exec and costs no record; any other move keeps the workload and is told. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_moved, struct cgroup* to, const char* path, struct task_struct* task) {
  struct process_context *moved, *mover;
  __u64 id;

  if (!is_v2(to)) return 0;
  id = id_of(to);
  moved = process_find(task->tgid);
  if (!moved) moved = process_rebuild(task);
  mover = process_current();
  if (!moved || !mover || moved->wire.home_cgroup_id == id) return 0;
  if (may_place(moved->wire.home_cgroup_id, mover)) {
    moved->pending_cgroup = id;
    read_root(&moved->pending_root, task);
    return 0;
  }
  moved->pending_cgroup = 0;
  emit_move(moved, mover, id, false);
  return 0;
}
