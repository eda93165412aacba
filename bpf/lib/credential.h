/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Changes of credentials between two looks at a process: at exec, connect, listen and exit. */

#include "bpf/lib/process.h"
#include "bpf/lib/verdict.h"
#include "bpf/wire/credential.h"

#define CREDENTIAL_SPACES 16

/* What one look needs, and the stack has no room for beside a connect's. The programs that look can
 * be preempted, so nothing of the CPU's is theirs alone: they take one. */
struct credential_space {
  struct wire_code_key key;
  struct wire_credentials before;
  __u32 is_taken;
  __u32 pad;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, CREDENTIAL_SPACES);
  __type(key, __u32);
  __type(value, struct credential_space);
} scratch_credential SEC(".maps");

static __always_inline void credential_act(struct task_struct* task, struct process_context* p,
                                           struct credential_space* s) {
  struct lookup l = {.cache = WIRE_CACHE_CODE};
  struct wire_credentials* before = &s->before;
  struct wire_credentials* now = &p->wire.credentials;
  __u64 permitted = now->cap_permitted & ~before->cap_permitted;
  struct governed g;
  enum act_class class;
  struct wire_credential* r;
  __u32 lane;

  governed_by(p->wire.home_cgroup_id, &g);
  __builtin_memset(&s->key, 0, sizeof(s->key));
  s->key.verb = WIRE_VERB_CREDENTIAL;
  s->key.subject = p->wire.code;
  s->key.object.device = (__u64)before->euid << 32 | before->egid;
  s->key.object.inode = (__u64)now->euid << 32 | now->egid;
  s->key.object.change_time_ns = (__u64)now->uid << 32 | now->gid;
  s->key.object.size_bytes = (__u64)before->uid << 32 | before->gid;
  s->key.object.generation = (__u32)permitted;
  s->key.object.flags = permitted >> 32;
  s->key.name = now->cap_effective & ~before->cap_effective;
  l.inner = bpf_map_lookup_elem(&vd_code_cache, &g.key);
  if (l.inner) l.verdict = bpf_map_lookup_elem(l.inner, &s->key);
  class = classify(&g, &l);
  if (class == ACT_NEWS || class == ACT_TAPPED) {
    lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_CODE;
    r = lane_reserve(lane, sizeof(*r));
    /* Each way by itself: 6.1 does not see that a record is there through a flag that says so. */
    if (!r) {
      lane_dropped(lane);
      if (class == ACT_NEWS) claim(&g, &l, &s->key, &p->wire.id, false);
    } else if (class == ACT_NEWS && !claim(&g, &l, &s->key, &p->wire.id, true)) {
      bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    } else {
      process_refresh(p, task);
      FILL_HEADER(r, CREDENTIAL);
      r->header.lane = lane;
      r->header.reason = class == ACT_TAPPED ? WIRE_REASON_TAP : WIRE_REASON_NEWS;
      fill_slot(&r->header, &g, &l);
      copy_process(&r->process, p);
      r->before = *before;
      r->key = s->key;
      lane_submit(lane, &r->header, false);
    }
  }
  count_act(&g, &l, bpf_ktime_get_boot_ns());
}

/* Capabilities that were given up are no news; a user or group that changed is. */
static __always_inline bool is_gain(const struct wire_credentials* before,
                                    const struct wire_credentials* now) {
  return before->euid != now->euid || before->egid != now->egid || before->uid != now->uid ||
         before->gid != now->gid || (now->cap_effective & ~before->cap_effective) ||
         (now->cap_permitted & ~before->cap_permitted);
}

static __always_inline struct credential_space* take_space(__u32 number) {
  struct credential_space* s;

  number &= CREDENTIAL_SPACES - 1;
  s = bpf_map_lookup_elem(&scratch_credential, &number);
  return s && !__sync_val_compare_and_swap(&s->is_taken, 0, 1) ? s : NULL;
}

/* Looks again at the current process, and tells what it gained since the last look. 0, counted:
 * without a space, so the next look does it. Not static: verified once, with a stack of its own. */
__noinline int look_at_credentials(void) {
  __u32 number = bpf_get_smp_processor_id();
  struct task_struct* task = bpf_get_current_task_btf();
  const struct cred* cred = credentials_of(task);
  struct process_context* p = process_find(task->tgid);
  struct credential_space* s;

  if (!p) return 1;
  s = take_space(number);
  if (!s) s = take_space(number + CREDENTIAL_SPACES / 2);
  if (!s) {
    count_error(WIRE_ERROR_SCRATCH);
    return 0;
  }
  s->before = p->wire.credentials;
  read_credentials(cred, &p->wire.credentials);
  if (is_gain(&s->before, &p->wire.credentials)) credential_act(task, p, s);
  s->is_taken = 0;
  return 1;
}

static __always_inline bool has_same_credentials(const struct wire_credentials* a,
                                                 const struct wire_credentials* b) {
  return a->uid == b->uid && a->gid == b->gid && a->euid == b->euid && a->egid == b->egid &&
         a->cap_permitted == b->cap_permitted && a->cap_effective == b->cap_effective;
}
