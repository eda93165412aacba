/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/privilege.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define CAP_SYS_ADMIN 21

/* What a workload used before. NULL: nothing yet, or there is no room. */
static __always_inline struct wire_capabilities* capabilities_of(__u64 workload, bool make) {
  static const struct wire_capabilities none;
  struct wire_capabilities* c = bpf_map_lookup_elem(&vd_capabilities, &workload);

  if (c || !make) return c;
  bpf_map_update_elem(&vd_capabilities, &workload, &none, BPF_NOEXIST);
  return bpf_map_lookup_elem(&vd_capabilities, &workload);
}

/* The first use of a capability by a workload. Not static: verified once. */
__noinline int capability_first(__u64 workload, __u32 capability, __u32 space) {
  struct wire_code_key* key = privilege_key(WIRE_VERB_CAPABILITY);
  struct wire_capabilities* c;

  if (!key) return 0;
  key->object.generation = capability;
  key->object.flags = space;
  if (!privileged_act(0, space)) return 0;
  c = capabilities_of(workload, true);
  if (c) __sync_fetch_and_or(&c->used[space & 1], 1ULL << (capability & 63));
  return 0;
}

/* A capability is asked for, very often; mostly in the context of who uses it. CAP_SYS_ADMIN is
 * left out: the accounting of memory asks for it at each exec, and cannot be told from a use. */
SEC("tp_btf/cap_capable")
int BPF_PROG(capability_used, const struct cred* cred, struct user_namespace* target,
             const struct user_namespace* owner, int capability, int result) {
  struct task_struct* task;
  struct process_context* p;
  struct wire_capabilities* c;
  __u64 workload;
  __u32 space;

  if (result || capability == CAP_SYS_ADMIN) return 0;
  task = bpf_get_current_task_btf();
  /* Not what the kernel does for itself, or in a filesystem's own name. */
  if ((__u64)cred != (__u64)task->real_cred || (task->flags & PF_KTHREAD)) return 0;
  p = process_find(task->tgid);
  workload = workload_of(p ? p->wire.home_cgroup_id : bpf_get_current_cgroup_id());
  space = BPF_CORE_READ(target, level) != 0;
  c = capabilities_of(workload, false);
  if (c && (c->used[space & 1] >> (capability & 63) & 1)) return 0;
  capability_first(workload, capability, space);
  return 0;
}
