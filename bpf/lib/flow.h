/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Network acts: their keys, their owner, and what is told of them. */

#include "bpf/lib/process.h"
#include "bpf/lib/verdict.h"
#include "bpf/wire/flow.h"

#define PREFIX_OBJECT 128

static __always_inline void set_v4(__u8* address, __u32 v4) {
  __builtin_memset(address, 0, 10);
  address[10] = 0xff;
  address[11] = 0xff;
  __builtin_memcpy(address + 12, &v4, 4);
}

/* Looks the object up, then its class where the profile generalised. On a miss l stands for the
 * object; on a hit of the class the key is the class's. */
static __always_inline void look_up_flow(struct governed* g, struct wire_flow_key* key,
                                         struct lookup* l) {
  struct wire_flow_key class_key;

  if (l->cache == WIRE_CACHE_INBOUND)
    l->inner = bpf_map_lookup_elem(&vd_inbound_cache, &g->key);
  else
    l->inner = bpf_map_lookup_elem(&vd_flow_cache, &g->key);
  if (!l->inner) return;
  l->verdict = bpf_map_lookup_elem(l->inner, key);
  if (l->verdict || key->verb == WIRE_VERB_LISTEN) return;
  class_key = *key;
  wire_make_class(&class_key);
  l->verdict = bpf_map_lookup_elem(l->inner, &class_key);
  if (l->verdict) *key = class_key;
}

static __always_inline void owner_from_process(struct socket_owner* o, struct process_context* p) {
  o->owner = p->wire.id;
  o->key.subject = p->wire.code;
  o->cgroup_id = p->wire.cgroup_id;
  o->home_cgroup_id = p->wire.home_cgroup_id;
  __builtin_memcpy(o->comm, p->wire.comm, sizeof(o->comm));
}

static const struct wire_process blank_process;

/* The owner's full context while it still runs the same program, else what the socket remembers. */
static __always_inline void fill_owner(struct wire_process* to, struct socket_owner* o) {
  struct process_context* p = process_find(o->owner.tgid);

  if (p && p->wire.id.start_ns == o->owner.start_ns) {
    copy_process(to, p);
    return;
  }
  bpf_probe_read_kernel(to, sizeof(*to), &blank_process);
  to->id = o->owner;
  to->tgid = o->owner.tgid;
  to->code = o->key.subject;
  to->cgroup_id = o->cgroup_id;
  to->home_cgroup_id = o->home_cgroup_id;
  __builtin_memcpy(to->comm, o->comm, sizeof(to->comm));
}

/* One flow as it is told. local is what the caller knows of it. */
struct flow_report {
  struct wire_endpoint local;
  struct wire_endpoint remote;
  __u64 cookie;
  __u32 error;
  __u32 smoothed_rtt_us;
  __u8 stage;
};

static __always_inline void fill_flow(struct wire_flow* r, struct socket_owner* o,
                                      struct wire_flow_key* key, struct flow_report* f) {
  FILL_HEADER(r, FLOW);
  fill_owner(&r->process, o);
  r->user = o->user;
  r->local = f->local;
  r->remote = f->remote;
  r->key = *key;
  r->cookie = f->cookie;
  r->sent_bytes = o->sent_bytes;
  r->received_bytes = o->received_bytes;
  r->sent_packets = o->sent_packets;
  r->received_packets = o->received_packets;
  r->duration_ns = o->start_ns ? r->header.boot_ns - o->start_ns : 0;
  r->retransmits = o->retransmits;
  r->smoothed_rtt_us = f->smoothed_rtt_us;
  r->error = f->error;
  r->protocol = key->protocol;
  r->stage = f->stage;
  r->inbound = !!(o->flags & SOCKET_INBOUND);
  r->pad = 0;
}

/* The first act of a flow, of which key says what it is. Looks it up, counts it, tells it when it
 * is news, and remembers in o what the rest of the flow belongs to. Of a socket that several CPUs
 * use at once, key must be the caller's own: o is written last. cache: INBOUND for what others
 * begin, of whom there can be any number, so that they take no room from the rest. */
static __always_inline void flow_act(struct socket_owner* o, struct wire_flow_key* key,
                                     struct flow_report* f, __u32 cache) {
  struct lookup l = {.cache = cache};
  struct governed g;
  struct wire_flow* r;
  enum act_class class;
  __u32 lane;

  governed_by(o->home_cgroup_id, &g);
  look_up_flow(&g, key, &l);
  class = classify(&g, &l);
  o->flags &= ~SOCKET_NEWS;
  if (class == ACT_NEWS || class == ACT_TAPPED) {
    lane = class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_FLOW;
    r = lane_reserve(lane, sizeof(*r));
    if (!r) {
      lane_dropped(lane);
      if (class == ACT_NEWS) claim(&g, &l, key, &o->owner, false);
    } else if (class == ACT_NEWS && !claim(&g, &l, key, &o->owner, true)) {
      bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    } else {
      fill_flow(r, o, key, f);
      r->header.lane = lane;
      r->header.reason = class == ACT_TAPPED ? WIRE_REASON_TAP : WIRE_REASON_NEWS;
      fill_slot(&r->header, &g, &l);
      r->process.workload = g.key.workload;
      lane_submit(lane, &r->header, false);
      if (class == ACT_NEWS) o->flags |= SOCKET_NEWS;
    }
  }
  o->key = *key;
  o->slot.workload = g.key.workload;
  o->slot.generation = g.key.generation;
  o->slot.cache = l.cache;
  o->slot.slot = l.slot;
  count_act(&g, &l, o->start_ns);
}

/* Is what becomes of this flow told to anybody? If not, what would be told need not be gathered. */
static __always_inline bool may_be_told(struct socket_owner* o) {
  return (o->flags & SOCKET_NEWS) || !is_nothing_tapped();
}

/* What became of a flow; told when its beginning was news, or when somebody watches. */
static __always_inline void flow_follow_up(struct socket_owner* o, struct flow_report* f) {
  bool news = o->flags & SOCKET_NEWS;
  struct governed g;
  struct wire_flow* r;
  __u32 lane = news ? WIRE_LANE_FLOW : WIRE_LANE_TAP;

  if (!may_be_told(o)) return;
  if (!news) {
    governed_by(o->home_cgroup_id, &g);
    if (!is_tapped(&g)) return;
  }
  r = lane_reserve(lane, sizeof(*r));
  if (!r) {
    lane_dropped(lane);
    return;
  }
  fill_flow(r, o, &o->key, f);
  r->header.lane = lane;
  r->header.reason = news ? WIRE_REASON_FOLLOW_UP : WIRE_REASON_TAP;
  r->header.slot = o->slot;
  r->process.workload = o->slot.workload;
  lane_submit(lane, &r->header, false);
}

/* The agent has pointed the cgroup to another number since the flow began, and the maps of the
 * first are gone: from here on the flow belongs to the same behaviour of the number in force. NULL,
 * counted, when that never did the like. */
static __noinline struct wire_count* count_in_force(struct socket_owner* o) {
  struct lookup l = {.cache = o->slot.cache};
  struct wire_flow_key key = o->key;
  struct governed g;

  governed_by(o->home_cgroup_id, &g);
  look_up_flow(&g, &key, &l);
  if (!l.verdict) {
    count_error(WIRE_ERROR_NO_CACHE);
    return NULL;
  }
  o->slot.workload = g.key.workload;
  o->slot.generation = g.key.generation;
  o->slot.slot = l.verdict->slot;
  return count_of(&g, l.verdict->slot);
}

/* Counts of the behaviour that the socket's current flow belongs to. */
static __always_inline struct wire_count* flow_count(struct socket_owner* o) {
  struct wire_cache_key key = {.workload = o->slot.workload, .generation = o->slot.generation};
  void* inner;

  if (!o->slot.slot) return NULL;
  inner = bpf_map_lookup_elem(&vd_counts, &key);
  return inner ? count_in(inner, o->slot.slot) : count_in_force(o);
}
