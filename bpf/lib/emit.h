/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/workload.h"
#include "bpf/wire/overflow.h"

/* Reserving, numbering and submitting records. A number is taken when a record is submitted or
 * dropped, never for one that is discarded: sequence = sent + dropped, per CPU and lane. */

static __always_inline struct wire_lane_count* lane_count(__u32 lane) {
  return bpf_map_lookup_elem(&vd_lanes, &lane);
}

static __always_inline void lane_dropped(__u32 lane) {
  struct wire_lane_count* l = lane_count(lane);

  count_error(WIRE_ERROR_RING_FULL);
  if (l) {
    __sync_fetch_and_add(&l->sequence, 1);
    __sync_fetch_and_add(&l->dropped, 1);
  }
}

/* Reserves a record in the lane's ring. The size must be a constant. NULL is not yet counted. */
#define lane_reserve(lane, bytes)                                            \
  ((lane) == WIRE_LANE_CODE   ? bpf_ringbuf_reserve(&vd_ring_code, bytes, 0) \
   : (lane) == WIRE_LANE_FLOW ? bpf_ringbuf_reserve(&vd_ring_flow, bytes, 0) \
                              : bpf_ringbuf_reserve(&vd_ring_tap, bytes, 0))

/* Numbers the record of a lane in whose ring so many bytes wait, and hands it over. wake: the
 * reader is not to wait for its next poll. */
static __always_inline void submit_behind(__u64 waiting, __u32 lane, struct wire_header* h,
                                          bool wake) {
  struct wire_lane_count* l = lane_count(lane);
  struct wire_config* c = config();
  __u64 flags = BPF_RB_NO_WAKEUP;

  if (l) {
    h->sequence = __sync_fetch_and_add(&l->sequence, 1);
    __sync_fetch_and_add(&l->sent, 1);
  }
  /* Only the record that crosses the mark wakes: what waits stays until it is stored. */
  if (wake || (c && waiting > c->wake_bytes && waiting - h->size <= c->wake_bytes))
    flags = BPF_RB_FORCE_WAKEUP;
  bpf_ringbuf_submit(h, flags);
}

static __always_inline void lane_submit(__u32 lane, struct wire_header* h, bool wake) {
  __u64 waiting;

  if (lane == WIRE_LANE_CODE)
    waiting = bpf_ringbuf_query(&vd_ring_code, BPF_RB_AVAIL_DATA);
  else if (lane == WIRE_LANE_FLOW)
    waiting = bpf_ringbuf_query(&vd_ring_flow, BPF_RB_AVAIL_DATA);
  else
    waiting = bpf_ringbuf_query(&vd_ring_tap, BPF_RB_AVAIL_DATA);
  submit_behind(waiting, lane, h, wake);
}

static __always_inline void fill_header(struct wire_header* h, __u16 kind, __u16 version,
                                        __u32 size) {
  h->kind = kind;
  h->version = version;
  h->size = size;
  h->boot_ns = bpf_ktime_get_boot_ns();
  h->sequence = 0;
  h->cpu = bpf_get_smp_processor_id();
  h->lane = 0;
  h->reason = 0;
  h->hook = WIRE_HOOK_ONLY;
  h->pad = 0;
  __builtin_memset(&h->slot, 0, sizeof(h->slot));
}

#define FILL_HEADER(record, KIND) \
  fill_header(&(record)->header, WIRE_KIND_##KIND, WIRE_VERSION_##KIND, sizeof(*(record)))

static __always_inline void emit_overflow(struct governed* g, __u32 cache) {
  struct wire_overflow* r = lane_reserve(WIRE_LANE_CODE, sizeof(*r));

  if (!r) {
    lane_dropped(WIRE_LANE_CODE);
    /* Told again by the next act that finds no room. */
    g->workload->overflowed[cache & WIRE_SLOT_CACHE_MASK] = WIRE_OVERFLOWED_UNTOLD;
    return;
  }
  FILL_HEADER(r, OVERFLOW);
  r->header.lane = WIRE_LANE_CODE;
  r->header.reason = WIRE_REASON_NEWS;
  r->header.slot.workload = g->key.workload;
  r->header.slot.generation = g->key.generation;
  r->header.slot.cache = cache;
  r->workload = g->key.workload;
  r->generation = g->key.generation;
  r->cache = cache;
  r->pad = 0;
  lane_submit(WIRE_LANE_CODE, &r->header, false);
}
