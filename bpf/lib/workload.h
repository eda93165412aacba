/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/count.h"

/* Which workload governs an act, at which generation: read once per act. */
struct governed {
  struct wire_workload* workload; /* NULL: no generation yet */
  struct wire_cache_key key;
};

static __always_inline void governed_by(__u64 home_cgroup, struct governed* g) {
  struct wire_instance* instance = bpf_map_lookup_elem(&vd_instances, &home_cgroup);

  g->key.workload = 0;
  g->key.generation = 0;
  if (instance)
    g->key.workload = instance->workload;
  else
    count_error(WIRE_ERROR_NO_INSTANCE);
  g->workload = bpf_map_lookup_elem(&vd_workloads, &g->key.workload);
  if (g->workload)
    g->key.generation = g->workload->generation;
  else
    count_error(WIRE_ERROR_NO_WORKLOAD);
}

/* The same act again, in a function of its own: by the generation that its first look has read. If
 * another is in force by now, the act fills nothing: what it could make belongs to no map in force.
 */
static __always_inline void still_governed_by(const struct wire_cache_key* key,
                                              struct governed* g) {
  g->key = *key;
  g->workload = bpf_map_lookup_elem(&vd_workloads, &g->key.workload);
  if (g->workload && g->workload->generation != key->generation) g->workload = NULL;
}

static __always_inline bool is_tapped(struct governed* g) {
  struct wire_config* c = config();

  if (!c) return false;
  return c->tap_all || (c->tap_some && bpf_map_lookup_elem(&vd_taps, &g->key.workload));
}

/* Does nobody watch any workload? Cheaper than asking for one. */
static __always_inline bool is_nothing_tapped(void) {
  struct wire_config* c = config();

  return !c || !(c->tap_all || c->tap_some);
}

static __always_inline __u64 task_cgroup_id(struct task_struct* task) {
  return task->cgroups->dfl_cgrp->kn->id;
}

static __always_inline __u64 new_workload_number(void) {
  __u32 zero = 0;
  __u64* next = bpf_map_lookup_elem(&vd_next_workload, &zero);

  return next ? __sync_fetch_and_add(next, 1) : 0;
}
