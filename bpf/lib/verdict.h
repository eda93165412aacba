/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The verdict cache: looking a behaviour up, inserting it once, and counting it. */

#include "bpf/lib/emit.h"

/* What the cache said of one act. */
struct lookup {
  void* inner;                  /* of this workload and generation; NULL: none */
  struct wire_verdict* verdict; /* NULL: a miss */
  __u32 slot;
  __u16 cache;
  __u16 is_first; /* this act made the entry */
};

enum act_class {
  ACT_KNOWN,  /* counted, nothing to send */
  ACT_TAPPED, /* known, but somebody watches */
  ACT_NEWS,   /* must be reported: reserve, then claim */
  ACT_FULL,   /* new, and its workload's cache has no room */
};

static const struct wire_count blank_count;

/* The count of a slot in the counts of one workload and generation. NULL, counted, when there is no
 * memory for it. */
static __always_inline struct wire_count* count_in(void* inner, __u32 slot) {
  struct wire_count* c = bpf_map_lookup_elem(inner, &slot);

  if (c) return c;
  bpf_map_update_elem(inner, &slot, &blank_count, BPF_NOEXIST);
  c = bpf_map_lookup_elem(inner, &slot);
  if (!c) count_error(WIRE_ERROR_COUNT_INSERT);
  return c;
}

/* NULL for an act that has no entry, and, counted, where the workload's maps are gone. */
static __always_inline struct wire_count* count_of(struct governed* g, __u32 slot) {
  void* inner;

  if (!slot) return NULL;
  inner = bpf_map_lookup_elem(&vd_counts, &g->key);
  if (inner) return count_in(inner, slot);
  count_error(WIRE_ERROR_NO_CACHE);
  return NULL;
}

/* The act that made an entry is not counted here: that there is an entry says it. Making a count is
 * by far the dearest part of a new behaviour, since the allocator of per-CPU memory refills itself
 * by an interrupt, and many behaviours are seen once. now: of the clock of boot, which costs as
 * much as a look-up; where the act has asked it already. */
static __always_inline void count_act(struct governed* g, struct lookup* l, __u64 now) {
  struct wire_count* c;

  if (l->is_first) return;
  c = count_of(g, l->slot);
  if (c) {
    __sync_fetch_and_add(&c->acts, 1);
    c->last_ns = now;
  }
}

/* Is there no room in the cache for what is new? The agent makes some where files are many, so that
 * now and then, about eight times a second, one act tries again. */
static __always_inline bool is_full(struct governed* g, struct lookup* l) {
  __u32* since;
  __u32 then, now;

  if (!g->workload) return false;
  since = &g->workload->overflowed[l->cache & WIRE_SLOT_CACHE_MASK];
  then = *since;
  if (then <= WIRE_OVERFLOWED_UNTOLD) return false;
  if (l->cache != WIRE_CACHE_FILE) return true;
  now = (bpf_ktime_get_boot_ns() >> 27) + WIRE_OVERFLOWED_NOW + 1;
  return then == now || __sync_val_compare_and_swap(since, then, now) != then;
}

/* A cache has no room: is the caller the one who tells it? */
static __always_inline bool is_to_be_told(__u32* overflowed) {
  __u32 then = *overflowed;

  return then <= WIRE_OVERFLOWED_UNTOLD &&
         __sync_val_compare_and_swap(overflowed, then, WIRE_OVERFLOWED_NOW) == then;
}

/* Fills l from the cache; the act is counted by whoever ends it. */
static __always_inline enum act_class classify(struct governed* g, struct lookup* l) {
  if (l->verdict) {
    l->slot = l->verdict->slot;
    if (l->verdict->novelty == WIRE_NOVELTY_UNREPORTED) return ACT_NEWS;
    return is_tapped(g) ? ACT_TAPPED : ACT_KNOWN;
  }
  if (!l->inner) {
    count_error(WIRE_ERROR_NO_CACHE);
    return ACT_NEWS;
  }
  if (is_full(g, l)) {
    __sync_fetch_and_add(&g->workload->not_cached, 1);
    count_error(WIRE_ERROR_CACHE_FULL);
    return is_tapped(g) ? ACT_TAPPED : ACT_FULL;
  }
  return ACT_NEWS;
}

/* What is new and can be neither told nor kept for the sweep: the agent makes a finding of it. */
static __always_inline void novelty_lost(struct governed* g, __u32 cache) {
  struct wire_workload* w = g->workload;
  __u64 nobody = 0;

  count_error(WIRE_ERROR_NOVELTY_LOST);
  if (!w) w = bpf_map_lookup_elem(&vd_workloads, &nobody);
  if (w) __sync_fetch_and_add(&w->lost[cache & WIRE_SLOT_CACHE_MASK], 1);
}

/* Makes the caller the one who reports this behaviour, or says that it is not. has_record: a record
 * is reserved; without one the behaviour is inserted as unreported, to be told later. */
static __always_inline bool claim(struct governed* g, struct lookup* l, const void* key,
                                  struct wire_exec_id* actor, bool has_record) {
  struct wire_verdict fresh = {.decision = WIRE_DECISION_ALLOW};
  long err;

  if (l->verdict)
    return has_record &&
           __sync_val_compare_and_swap(&l->verdict->novelty, WIRE_NOVELTY_UNREPORTED,
                                       WIRE_NOVELTY_REPORTED) == WIRE_NOVELTY_UNREPORTED;
  if (!l->inner || !g->workload) {
    if (!has_record) novelty_lost(g, l->cache);
    return has_record;
  }
  fresh.novelty = has_record ? WIRE_NOVELTY_REPORTED : WIRE_NOVELTY_UNREPORTED;
  fresh.slot = wire_make_slot(__sync_fetch_and_add(&g->workload->next_slot, 1) + 1, l->cache);
  fresh.first_ns = bpf_ktime_get_boot_ns();
  fresh.first_actor = *actor;
  err = bpf_map_update_elem(l->inner, key, &fresh, BPF_NOEXIST);
  if (!err) {
    l->slot = fresh.slot;
    l->is_first = 1;
    if (l->cache == WIRE_CACHE_FILE && g->workload->overflowed[WIRE_CACHE_FILE])
      g->workload->overflowed[WIRE_CACHE_FILE] = 0;
    return has_record;
  }
  if (err == -EEXIST) {
    struct wire_verdict* other = bpf_map_lookup_elem(l->inner, key);

    if (other) l->slot = other->slot;
    return false;
  }
  if (err != -E2BIG) {
    count_error(WIRE_ERROR_CACHE_INSERT);
    if (!has_record) novelty_lost(g, l->cache);
    return has_record;
  }
  __sync_fetch_and_add(&g->workload->not_cached, 1);
  count_error(WIRE_ERROR_CACHE_FULL);
  if (is_to_be_told(&g->workload->overflowed[l->cache & WIRE_SLOT_CACHE_MASK]))
    emit_overflow(g, l->cache);
  return false;
}

static __always_inline void fill_slot(struct wire_header* h, struct governed* g, struct lookup* l) {
  h->slot.workload = g->key.workload;
  h->slot.generation = g->key.generation;
  h->slot.cache = l->cache;
  h->slot.slot = l->slot;
}
