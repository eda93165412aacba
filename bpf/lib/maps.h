/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The maps that objects share by name: those that begin with vd_. bpf/probes/maps.bpf.c is loaded
 * first and makes them, the others reuse them, and they are pinned; a vd_ map that stands in a
 * probe is the probe's own, and pinned too. Maps that begin with scratch_ belong to one object
 * alone. The agent sets the sizes of those marked "sized by the agent". */

#include "bpf/lib/kernel_types.h"
#include "bpf/lib/process_context.h"
#include "bpf/lib/socket_owner.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct wire_config);
} vd_config SEC(".maps");

/* Sized by the agent: the rings' bytes. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} vd_ring_code SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} vd_ring_flow SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 19);
} vd_ring_tap SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WIRE_LANES);
  __type(key, __u32);
  __type(value, struct wire_lane_count);
} vd_lanes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WIRE_ERRORS);
  __type(key, __u32);
  __type(value, __u64);
} vd_errors SEC(".maps");

/* Processes by tgid. A hash and not task storage: it survives an exec by a thread that is not the
 * leader, costs a tenth at fork, and exists on 5.10. Allocated beforehand (ADR 2). Sized by the
 * agent. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u32);
  __type(value, struct process_context);
} vd_processes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, WIRE_INSTANCES);
  __type(key, __u64); /* cgroup id */
  __type(value, struct wire_instance);
} vd_instances SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u64); /* workload number */
  __type(value, struct wire_workload);
} vd_workloads SEC(".maps");

/* How many charged cgroups of a workload are gone. Written by the agent alone, since it cannot
 * count down what programs count up. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u64); /* workload number */
  __type(value, __u32);
} vd_forgotten SEC(".maps");

/* What of its capabilities a workload has used, by its number. Apart from vd_workloads since the
 * agent takes bits back: a bit lost or set by a race costs one look into the cache. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u64); /* workload number */
  __type(value, struct wire_capabilities);
} vd_capabilities SEC(".maps");

/* Workloads that somebody watches. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, __u64); /* workload number */
  __type(value, __u32);
} vd_taps SEC(".maps");

/* The next workload number. Numbers are never reused within a boot. The agent maps it, to take one
 * in the same single step as a program does. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} vd_next_workload SEC(".maps");

/* Code of the container runtimes: a move by one of them is a placement. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct wire_code);
  __type(value, __u32);
} vd_runtimes SEC(".maps");

/* The verdict caches of all workloads, of one kind (WIRE_CACHE_CODE …). The maps that the agent
 * puts in have a size of its own. */
#define VERDICT_CACHE(name, key_type)                \
  struct name##_inner {                              \
    __uint(type, BPF_MAP_TYPE_HASH);                 \
    __uint(map_flags, BPF_F_NO_PREALLOC);            \
    __uint(max_entries, 1024);                       \
    __uint(key_size, sizeof(struct key_type));       \
    __uint(value_size, sizeof(struct wire_verdict)); \
  };                                                 \
  struct {                                           \
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);         \
    __uint(max_entries, 8192);                       \
    __type(key, struct wire_cache_key);              \
    __array(values, struct name##_inner);            \
  } name SEC(".maps")

VERDICT_CACHE(vd_code_cache, wire_code_key);
VERDICT_CACHE(vd_flow_cache, wire_flow_key);
VERDICT_CACHE(vd_inbound_cache, wire_flow_key);

struct vd_counts_inner {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1536);
  __uint(key_size, sizeof(__u32)); /* slot */
  __uint(value_size, sizeof(struct wire_count));
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
  __uint(max_entries, 8192);
  __type(key, struct wire_cache_key);
  __array(values, struct vd_counts_inner);
} vd_counts SEC(".maps");

/* Names of scripts whose executions wait for the sweep. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 256);
  __type(key, __u64); /* the keyed hash of the name */
  __type(value, struct wire_script);
} vd_lost_scripts SEC(".maps");

/* Who a socket belongs to. Accepted sockets inherit it from their listener. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
  __type(key, int);
  __type(value, struct socket_owner);
} vd_sockets SEC(".maps");

/* Places of TCP sockets by cookie, see connection.h. */
#define CONNECTIONS 8192 /* a power of two */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, CONNECTIONS);
  __type(key, __u32);
  __type(value, struct connection);
} vd_connections SEC(".maps");

/* Owners of listening sockets by name. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, struct listener_key);
  __type(value, struct socket_owner);
} vd_listeners SEC(".maps");

/* A process context of zeroes, to begin a new one with. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct process_context);
} vd_blank_process SEC(".maps");
