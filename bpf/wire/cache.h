/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The verdict cache: keys and values of its maps. Keys hold every field in full. */

#include "bpf/wire/base.h"

enum wire_verb {
  WIRE_VERB_EXEC = 1,
  WIRE_VERB_CREDENTIAL = 2,
  WIRE_VERB_CONNECT = 3,
  WIRE_VERB_ACCEPT = 4,
  WIRE_VERB_LISTEN = 5,
  WIRE_VERB_FILE_CREATE = 6, /* opened, and made by that */
  WIRE_VERB_FILE_WRITE = 7,  /* opened for writing, was there before */
  WIRE_VERB_FILE_READ = 8,   /* a listed path opened for reading */
  WIRE_VERB_MODULE = 9,
  WIRE_VERB_IO_URING = 10,
  WIRE_VERB_SIGNAL = 11,
  WIRE_VERB_CAPABILITY = 12,
};

enum wire_decision {
  WIRE_DECISION_ALLOW = 1,
  WIRE_DECISION_DENY = 2,
};

/* Novelty only rises: BPF takes UNREPORTED to REPORTED, the agent REPORTED to KNOWN. But for what
 * the store has lost: that the agent makes UNREPORTED again. */
enum wire_novelty {
  WIRE_NOVELTY_UNREPORTED = 1,
  WIRE_NOVELTY_REPORTED = 2,
  WIRE_NOVELTY_KNOWN = 3,
};

/* Which cache of which workload at which generation: the key of every outer map. */
struct wire_cache_key {
  __u64 workload;
  __u64 generation;
};
WIRE_LAYOUT(struct wire_cache_key, 16);

/* Executing: parent code, new code, keyed hash of the script's name. Credentials: subject is the
 * code, object.device the old and object.inode the new (euid << 32 | egid), object.size_bytes the
 * old and object.change_time_ns the new (uid << 32 | gid), object.flags << 32 | object.generation
 * the capabilities that were not permitted before, name those that were not effective. Module: the
 * bytes of object begin its name, and name is the keyed hash of all of it. Signal: object.device is
 * the workload it was sent to, object.generation the signal. Capability: object.generation, and
 * object.flags is 1 in a user namespace; subject is nobody, since it is told once per workload. */
struct wire_code_key {
  struct wire_code subject;
  struct wire_code object;
  __u64 name;
  __u32 verb;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_code_key, 96);

/* prefix 128 is the object itself, less is its class: the network of that length (of the mapped
 * form for IPv4). port: the remote port for CONNECT, the local one for ACCEPT and LISTEN; 0 for a
 * LISTEN on a port that the kernel chose. */
struct wire_flow_key {
  struct wire_code subject;
  __u8 address[16];
  __u16 port;
  __u8 protocol;
  __u8 verb;
  __u8 prefix;
  __u8 pad[3];
};
WIRE_LAYOUT(struct wire_flow_key, 64);

enum wire_verdict_flags {
  WIRE_VERDICT_FORGOTTEN = 1, /* unreported, though it was known: its next act tells it, no sweep */
};

enum wire_grain {
  WIRE_GRAIN_OBJECT = 0,
  WIRE_GRAIN_CLASS = 1,
  WIRE_GRAIN_DIRECTORY = 2,
};

/* A file: itself, by inode (real, below overlayfs), directory, name and mount; or its class, all
 * files of that directory whose names have the same shape: then inode and generation are 0. They
 * are for CREATE, too: a name that is made again is the same behaviour. Of grain DIRECTORY it is
 * the class of all directories beside the file's own whose names have one shape: then inode is the
 * keyed hash of that shape, parent the directory above them, and name that of the file's name where
 * this stands for itself. */
struct wire_access_key {
  struct wire_code subject;
  __u64 device;
  __u64 inode;
  __u64 parent; /* inode of its directory */
  __u64 name;   /* keyed hash of the name, of its shape for a class; 0: no name (O_TMPFILE) */
  __u64 mount;
  __u32 generation;
  __u8 verb;
  __u8 grain;
  __u8 pad[2];
};
WIRE_LAYOUT(struct wire_access_key, 88);

struct wire_verdict {
  __u32 novelty;
  __u32 decision;
  __u32 slot; /* of the counts; unique within (workload, generation); 0 is none */
  __u32 flags;
  __u64 first_ns; /* since boot */
  struct wire_exec_id first_actor;
};
WIRE_LAYOUT(struct wire_verdict, 40);

/* Slots that the agent gives out; the others are given out by BPF. */
#define WIRE_SLOT_OF_AGENT 0x80000000u

/* The lowest bits of a slot name its cache. */
#define WIRE_SLOT_CACHE_BITS 2
#define WIRE_SLOT_CACHE_MASK 3

static inline __u32 wire_make_slot(__u32 number, __u32 cache) {
  return number << WIRE_SLOT_CACHE_BITS | (cache & WIRE_SLOT_CACHE_MASK);
}

/* Turns the key of a peer into that of its class, the network around it: /24 of IPv4, /64 of IPv6.
 */
static inline void wire_make_class(struct wire_flow_key* key) {
  __u8* a = key->address;
  int mapped = !(a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7] | a[8] | a[9]) &&
               a[10] == 0xff && a[11] == 0xff;

  if (mapped) {
    key->prefix = 120;
    a[15] = 0;
    return;
  }
  key->prefix = 64;
  for (int i = 8; i < 16; i++) a[i] = 0;
}

#define WIRE_LATENCY_BUCKETS 16

/* What one behaviour did, per CPU, but for the act that made its entry. Bucket i of the latency
 * counts < 64 us << i: how long connecting took, or the round trip of what was accepted. */
struct wire_count {
  __u64 acts;
  __u64 failures;
  __u64 sent_bytes;
  __u64 received_bytes;
  __u64 retransmits;
  __u64 last_ns;
  __u32 latency[WIRE_LATENCY_BUCKETS];
};
WIRE_LAYOUT(struct wire_count, 112);

enum wire_instance_flags {
  WIRE_INSTANCE_INHERIT = 1,  /* cgroups below belong to the same workload */
  WIRE_INSTANCE_LAUNCHER = 2, /* a runtime's own cgroup: what it moves out of here is placed */
  WIRE_INSTANCE_UNPLACED = 4, /* the root: whoever leaves it is being placed */
  WIRE_INSTANCE_CHARGED = 8,  /* stands in its workload's share of the table */
};

/* Cgroups that are known, and how many of them may be those of one workload: who was given a
 * subtree can make as many as it likes. */
#define WIRE_INSTANCES 16384
#define WIRE_INSTANCE_SHARE (WIRE_INSTANCES / 8)

struct wire_instance {
  __u64 workload;
  __u32 flags;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_instance, 16);

/* Overflowed: that could not be told yet; or was, and nothing was tried since. More is the time of
 * the last try. */
#define WIRE_OVERFLOWED_UNTOLD 1
#define WIRE_OVERFLOWED_NOW 2

/* One per workload. generation names the maps in force; a program reads it once per act. */
struct wire_workload {
  __u64 generation;
  __u64 not_cached; /* acts that found no room */
  __u32 next_slot;
  __u32 processes;     /* that have a context in its share of the table */
  __u32 overflowed[4]; /* by cache: not 0 once something found no room, until there is some */
  __u32 lost[4];       /* by cache: news that could be neither told nor kept for the sweep */
  __u32 instances;     /* charged so far; vd_forgotten has how many of them are gone */
  __u32 pad;
};
WIRE_LAYOUT(struct wire_workload, 64);

/* Capabilities that the workload has used and that have an entry: in the first user namespace, and
 * in others. */
struct wire_capabilities {
  __u64 used[2];
};
WIRE_LAYOUT(struct wire_capabilities, 16);

#define WIRE_SCRIPT_BYTES 4096

/* The name of a script whose execution found no room in the ring, by its keyed hash. */
struct wire_script {
  __u32 bytes;
  __u32 pad;
  __u8 name[WIRE_SCRIPT_BYTES];
};
WIRE_LAYOUT(struct wire_script, 4104);

/* Filled by the agent before anything is attached. */
struct wire_config {
  __u64 hash_secret[2];
  __u64 wake_bytes; /* a ring that holds more wakes its reader */
  __u32 tap_all;    /* every act of every workload is sent to the tap */
  __u32 tap_some;   /* of the workloads in vd_taps */
  __u32 agent_tgid;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_config, 40);

#define WIRE_TCP_TASK_NOTES 8

/* What the first program on changes of TCP states tells the second, on one CPU: which changes it
 * has handled. Softirqs do not nest, so one note is enough for them; tasks have more, since from 7
 * on they can be preempted here. */
struct wire_tcp_pair {
  __u64 softirq;
  __u64 tasks[WIRE_TCP_TASK_NOTES];
  __u64 taken_over; /* how many changes the second handled */
};
WIRE_LAYOUT(struct wire_tcp_pair, 80);

/* Per CPU and lane. sent + dropped = sequence. */
struct wire_lane_count {
  __u64 sequence;
  __u64 sent;
  __u64 dropped;
};
WIRE_LAYOUT(struct wire_lane_count, 24);
