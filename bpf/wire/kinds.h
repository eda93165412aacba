/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The one list of record kinds: WIRE_KIND(name, number, struct, version). A number is never reused.
 * abi.bpf.c and the decoder's table are made from it. */
#define WIRE_KINDS(WIRE_KIND)                             \
  WIRE_KIND(EXEC, 1, struct wire_exec, 2)                 \
  WIRE_KIND(PROCESS_SEEN, 2, struct wire_process_seen, 1) \
  WIRE_KIND(FORK, 3, struct wire_fork, 1)                 \
  WIRE_KIND(EXIT, 4, struct wire_exit, 1)                 \
  WIRE_KIND(CREDENTIAL, 5, struct wire_credential, 1)     \
  WIRE_KIND(FLOW, 6, struct wire_flow, 1)                 \
  WIRE_KIND(DNS, 7, struct wire_dns, 1)                   \
  WIRE_KIND(CGROUP, 8, struct wire_cgroup, 1)             \
  WIRE_KIND(MOVE, 9, struct wire_move, 1)                 \
  WIRE_KIND(OVERFLOW, 10, struct wire_overflow, 1)        \
  WIRE_KIND(FILE, 11, struct wire_file, 2)                \
  WIRE_KIND(PRIVILEGE, 12, struct wire_privilege, 1)

enum wire_kind {
#define WIRE_KIND(name, number, type, version) WIRE_KIND_##name = (number),
  WIRE_KINDS(WIRE_KIND)
#undef WIRE_KIND
};

enum wire_version {
#define WIRE_KIND(name, number, type, version) WIRE_VERSION_##name = (version),
  WIRE_KINDS(WIRE_KIND)
#undef WIRE_KIND
};

/* Why a record was sent. */
enum wire_reason {
  WIRE_REASON_NEWS = 0,
  WIRE_REASON_FOLLOW_UP = 1,
  WIRE_REASON_CONTEXT = 2,
  WIRE_REASON_TAP = 3,
};

/* Where the kernel was, for kinds of which several hooks tell. */
enum wire_hook {
  WIRE_HOOK_ONLY = 0, /* the one hook of this kind, or of this act */
  WIRE_HOOK_SYS_EXIT = 1,
  WIRE_HOOK_FILE_OPEN = 2, /* of BPF LSM */
};

/* A lane has a ring and a numbering of its own, so that a cheap one cannot crowd out another. */
enum wire_lane {
  WIRE_LANE_CODE = 0,
  WIRE_LANE_FLOW = 1,
  WIRE_LANE_TAP = 2,
  WIRE_LANE_FILE = 3, /* its ring is there while the probe files is */
  WIRE_LANES = 4,
};

enum wire_cache {
  WIRE_CACHE_CODE = 0,
  WIRE_CACHE_FLOW = 1,
  WIRE_CACHE_FILE = 2,    /* there while the probe files is */
  WIRE_CACHE_INBOUND = 3, /* flows that others begin: verb ACCEPT, by the same key as FLOW */
  WIRE_CACHES = 4,
};

/* Why something was not sent, not found or not stored. */
enum wire_error {
  WIRE_ERROR_RING_FULL = 0,        /* a record found no room; its behaviour stays unreported */
  WIRE_ERROR_NO_PROCESS = 1,       /* no context for the acting process; made from what is left */
  WIRE_ERROR_PROCESS_TABLE = 2,    /* the process table is full */
  WIRE_ERROR_NO_INSTANCE = 3,      /* the cgroup is not known; workload 0 */
  WIRE_ERROR_INSTANCE_TABLE = 4,   /* the table of cgroups is full */
  WIRE_ERROR_NO_WORKLOAD = 5,      /* the workload has no generation yet */
  WIRE_ERROR_NO_CACHE = 6,         /* no cache, or no counts, of this workload and generation */
  WIRE_ERROR_CACHE_FULL = 7,       /* an act that was not inserted because its cache is full */
  WIRE_ERROR_CACHE_INSERT = 8,     /* the kernel refused an insert for another reason */
  WIRE_ERROR_COUNT_INSERT = 9,     /* a count could not be stored */
  WIRE_ERROR_SOCKET_STORAGE = 10,  /* a socket's owner could not be stored */
  WIRE_ERROR_READ = 11,            /* kernel or user memory could not be read */
  WIRE_ERROR_SCRATCH = 12,         /* a per-CPU buffer was not there, or not free */
  WIRE_ERROR_NO_SOCKET_OWNER = 13, /* a flow whose owner is not known */
  WIRE_ERROR_NOVELTY_LOST = 14,    /* news that could be neither told nor kept for the sweep */
  WIRE_ERROR_PROCESS_SHARE = 15,   /* the workload has used up its share of the process table */
  WIRE_ERROR_SCRIPT_TABLE = 16,    /* the name of a script that was not told could not be kept */
  WIRE_ERROR_NO_PLACE = 17,        /* a connection has storage, which is dear: the table is full */
  WIRE_ERROR_DNS_QUERY = 18,       /* a DNS query does not wait for its answer: no room */
  WIRE_ERROR_INSTANCE_SHARE = 19,  /* the workload has used up its share of the table of cgroups */
  WIRE_ERROR_BIRTH = 20,           /* where a file was made could not be kept */
  WIRE_ERROR_DATAGRAM = 21,        /* a UDP packet that is not read, or of an unknown owner */
  WIRE_ERROR_NO_PROGRAM = 22,      /* the program that goes on with an act was not there */
  WIRE_ERRORS = 23,
};
