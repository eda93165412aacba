/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/cache.h"

#define WIRE_PATH_BYTES 4096
#define WIRE_ARGV_BYTES 4096

/* What most executions need; a record that fits is sent in this size. */
#define WIRE_PATH_SMALL_BYTES 256
#define WIRE_ARGV_SMALL_BYTES 512
#define WIRE_SCRIPT_SMALL_BYTES 64

enum wire_exec_flags {
  WIRE_EXEC_PATH_CUT = 1,
  WIRE_EXEC_ARGV_CUT = 2,
  WIRE_EXEC_SCRIPT = 4,
  WIRE_EXEC_LARGE = 8,       /* a wire_exec_large, else a wire_exec_small */
  WIRE_EXEC_SCRIPT_CUT = 16, /* the script's name is longer than any path */
  WIRE_EXEC_REBUILT = 32,    /* no context at the act: calling code and ancestors are not known */
};

enum wire_origin {
  WIRE_ORIGIN_UNKNOWN = 0,
  WIRE_ORIGIN_HOST = 1,
  WIRE_ORIGIN_IMAGE = 2,
  WIRE_ORIGIN_WRITABLE_LAYER = 3,
  WIRE_ORIGIN_MEMFD = 4,
  WIRE_ORIGIN_DELETED = 5,
  WIRE_ORIGIN_UNTRUSTED_FS = 6,
};

/* The part that both sizes share. Arguments end with NUL. */
struct wire_exec {
  struct wire_header header;
  struct wire_process process;
  struct wire_code parent_code;
  struct wire_exec_id previous;
  struct wire_code_key key;
  __u64 root_device; /* where the path's walk ended */
  __u64 root_inode;
  __u16 path_bytes;
  __u16 argv_bytes;
  __u16 script_bytes;
  __u8 flags;
  __u8 origin;
  __u32 filesystem; /* the magic number of the file's superblock */
  __u32 pad;
};
WIRE_LAYOUT(struct wire_exec, 1000);

struct wire_exec_small {
  struct wire_exec exec;
  __u8 path[WIRE_PATH_SMALL_BYTES];
  __u8 argv[WIRE_ARGV_SMALL_BYTES];
  __u8 script[WIRE_SCRIPT_SMALL_BYTES];
};
WIRE_LAYOUT(struct wire_exec_small, 1832);

struct wire_exec_large {
  struct wire_exec exec;
  __u8 path[WIRE_PATH_BYTES];
  __u8 argv[WIRE_ARGV_BYTES];
  __u8 script[WIRE_SCRIPT_BYTES];
};
WIRE_LAYOUT(struct wire_exec_large, 13288);
