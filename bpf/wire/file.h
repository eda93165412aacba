/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/wire/base.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/exec.h"

enum wire_file_flags {
  WIRE_FILE_PATH_CUT = 1,
  WIRE_FILE_ELSEWHERE = 2, /* the path does not end at the root of its container's start */
  WIRE_FILE_UNNAMED = 4,   /* O_TMPFILE: the path is that of its directory, and a number */
  WIRE_FILE_LARGE = 8,     /* a wire_file_large, else a wire_file_small */
  WIRE_FILE_CLASS = 16,    /* what a class may stand for; shape is set if the name has one */
  WIRE_FILE_REBUILT = 32,  /* no context at the act: ancestors are not known */
};

/* The part that both sizes share. */
struct wire_file {
  struct wire_header header;
  struct wire_process process;
  struct wire_access_key key;
  __u64 shape; /* the name in the key of its class; 0: it has none */
  __u32 open_flags;
  __u32 mode;
  __u32 links;
  __u32 filesystem; /* the magic number of the file's superblock */
  __u16 path_bytes;
  __u8 flags;
  __u8 pad[5];
  __u64 directory; /* the inode in the class's key, where it is of many directories; else 0 */
  __u64 above;     /* the parent in that key */
};
WIRE_LAYOUT(struct wire_file, 952);

struct wire_file_small {
  struct wire_file file;
  __u8 path[WIRE_PATH_SMALL_BYTES];
};
WIRE_LAYOUT(struct wire_file_small, 1208);

struct wire_file_large {
  struct wire_file file;
  __u8 path[WIRE_PATH_BYTES];
};
WIRE_LAYOUT(struct wire_file_large, 5048);

#define WIRE_WATCHED_BYTES 256
#define WIRE_WATCH_WORDS 16

/* A path that is listed, with zeros after it. */
struct wire_watched {
  __u8 path[WIRE_WATCHED_BYTES];
};
WIRE_LAYOUT(struct wire_watched, 256);

/* One bit for each listed path, by its last name: an open for reading whose bit is not set is over.
 */
struct wire_watch {
  __u64 bits[WIRE_WATCH_WORDS];
};
WIRE_LAYOUT(struct wire_watch, 128);

static inline __u32 wire_watch_bit(__u32 name_bytes, __u8 first) {
  return (name_bytes * 37 + first) & (WIRE_WATCH_WORDS * 64 - 1);
}
