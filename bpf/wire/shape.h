/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The shape of a file's name: what is different each time stands as '*'. Names of one shape are one
 * class. Both sides use this, the kernel for a class's key, the agent for paths; it goes byte by
 * byte, so that a program can be verified one byte at a time.
 *
 * Words are runs of letters and digits. In a word each run of digits becomes '*': request-17.tmp is
 * request-*.tmp. A word that looks random becomes one '*': letters and digits in turns, hex with
 * digits, or after a separator 6, 8 or 10 characters with upper case and something else, as mkstemp
 * makes them. So does what Python puts behind "tmp". */

#include "bpf/wire/base.h"

#define WIRE_SHAPE_BYTES 128 /* longer names have no shape */

struct wire_shape {
  __u8 text[WIRE_SHAPE_BYTES];
  __u32 bytes;   /* of the text */
  __u32 stars;   /* 0: the name stands for itself alone */
  __u32 begin;   /* where the current word stands in the text */
  __u32 word;    /* its bytes in the name */
  __u32 changes; /* between digits and letters in it */
  __u32 kinds;   /* seen in it */
  __u8 last;     /* kind of the byte before, in this word */
  __u8 before;   /* the separator before it */
  __u8 was_star; /* the word before became one '*' */
  __u8 is_hex;
  __u32 pad;
};
WIRE_LAYOUT(struct wire_shape, 160);

enum wire_shape_kind {
  WIRE_SHAPE_OTHER = 0,
  WIRE_SHAPE_DIGIT = 1,
  WIRE_SHAPE_LOWER = 2,
  WIRE_SHAPE_UPPER = 4,
};

static inline __u8 wire_shape_kind(__u8 c) {
  if (c >= '0' && c <= '9') return WIRE_SHAPE_DIGIT;
  if (c >= 'a' && c <= 'z') return WIRE_SHAPE_LOWER;
  if (c >= 'A' && c <= 'Z') return WIRE_SHAPE_UPPER;
  return WIRE_SHAPE_OTHER;
}

static inline void wire_shape_put(struct wire_shape* s, __u8 c) {
  s->text[s->bytes & (WIRE_SHAPE_BYTES - 1)] = c;
  s->bytes++;
}

static inline int wire_shape_is_random(const struct wire_shape* s) {
  __u32 letters = s->kinds & (WIRE_SHAPE_LOWER | WIRE_SHAPE_UPPER);

  if (s->changes >= 2) return 1;
  if (s->is_hex && letters && (s->word >= 8 || (s->word >= 4 && s->kinds != letters))) return 1;
  /* A group of a UUID that happens to have no digit. */
  if (s->is_hex && s->word == 4 && s->before == '-' && s->was_star) return 1;
  return s->before && (s->kinds & WIRE_SHAPE_UPPER) && s->kinds != WIRE_SHAPE_UPPER &&
         (s->word == 6 || s->word == 8 || s->word == 10);
}

static inline void wire_shape_end_word(struct wire_shape* s) {
  if (!s->word) return;
  if (wire_shape_is_random(s)) {
    s->bytes = s->begin;
    wire_shape_put(s, '*');
    s->stars++;
    s->was_star = 1;
  } else {
    s->was_star = s->kinds == WIRE_SHAPE_DIGIT;
  }
  s->word = 0;
}

/* Takes in the next byte of the name; 0 at its end. */
static inline void wire_shape_take(struct wire_shape* s, __u8 c) {
  __u8 kind = wire_shape_kind(c);

  if (kind == WIRE_SHAPE_OTHER) {
    wire_shape_end_word(s);
    if (!c) return;
    wire_shape_put(s, c);
    s->before = c;
    return;
  }
  if (!s->word) {
    s->begin = s->bytes;
    s->changes = 0;
    s->kinds = 0;
    s->is_hex = 1;
    s->last = 0;
  }
  if (s->last && (kind == WIRE_SHAPE_DIGIT) != (s->last == WIRE_SHAPE_DIGIT)) s->changes++;
  if (kind != WIRE_SHAPE_DIGIT && !((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
    s->is_hex = 0;
  if (kind != WIRE_SHAPE_DIGIT) {
    wire_shape_put(s, c);
  } else if (s->last != WIRE_SHAPE_DIGIT) {
    wire_shape_put(s, '*');
    s->stars++;
  }
  s->word++;
  s->kinds |= kind;
  s->last = kind;
}

/* Begins a shape. Returns where to go on in the name, of which at least 12 bytes can be read. */
static inline __u32 wire_shape_begin(struct wire_shape* s, const __u8* name, __u32 bytes) {
  s->bytes = 0;
  s->stars = 0;
  s->begin = 0;
  s->word = 0;
  s->changes = 0;
  s->kinds = 0;
  s->last = 0;
  s->before = 0;
  s->was_star = 0;
  s->is_hex = 0;
  s->pad = 0;
  if (bytes < 11 || name[0] != 't' || name[1] != 'm' || name[2] != 'p') return 0;
  if (bytes > 11 && name[11] != '.') return 0;
  for (int i = 3; i < 11; i++) {
    __u8 kind = wire_shape_kind(name[i]);

    if (kind != WIRE_SHAPE_DIGIT && kind != WIRE_SHAPE_LOWER && name[i] != '_') return 0;
  }
  wire_shape_put(s, 't');
  wire_shape_put(s, 'm');
  wire_shape_put(s, 'p');
  wire_shape_put(s, '*');
  s->stars = 1;
  return 11;
}
