/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The shape of a file's name: what is different each time stands as '*' or '?'. Names of one shape
 * are one class. Both sides use this, the kernel for a class's key, the agent for paths; it goes
 * byte by byte, so that a program can be verified one byte at a time.
 *
 * Words are runs of letters and digits. In a word each run of digits becomes '*': request-17.tmp is
 * request-*.tmp. A word that looks random becomes one '*': letters and digits in turns, or hex with
 * digits. So does what Python puts behind "tmp". A word of 6 to 10 characters that looks as mkstemp
 * makes them becomes as many '?': ccmhhchG.s is ????????.s. What could be a word stands for itself,
 * whatever stands beside it, and so no class stands for "passwd". Of a directory, two hex digits
 * become "??", as names are spread by. */

#include "bpf/wire/base.h"
#include "bpf/wire/word_pairs.h"

#define WIRE_SHAPE_BYTES 128 /* longer names have no shape */
#define WIRE_RANDOM_SHORTEST 6
#define WIRE_RANDOM_LONGEST 10

/* How sure it is that a name is another one each time. */
enum wire_shape_sure {
  WIRE_SHAPE_UNSURE = 0, /* of a class where others are, and no reason to make one */
  WIRE_SHAPE_LIKELY = 1,
  WIRE_SHAPE_SURE = 2,
};

struct wire_shape {
  __u8 text[WIRE_SHAPE_BYTES];
  __u32 bytes;   /* of the text */
  __u32 stars;   /* 0: the name stands for itself alone */
  __u32 begin;   /* where the current word stands in the text */
  __u32 word;    /* its bytes in the name */
  __u32 changes; /* between digits and letters in it */
  __u32 kinds;   /* seen in it */
  __u32 rare;    /* letters beside each other in it that words do not have so */
  __u32 very_rare;
  __u32 run;     /* of small letters at its end */
  __u32 sure;    /* the least of all stars */
  __u8 last;     /* kind of the byte before, in this word */
  __u8 letter;   /* that byte, 0 for 'a', if it was a letter */
  __u8 before;   /* the separator before it */
  __u8 was_star; /* the word before became one '*' */
  __u8 is_hex;
  __u8 is_mixed; /* capitals where words have none */
  __u8 is_directory;
  __u8 pad;
};
WIRE_LAYOUT(struct wire_shape, 176);

enum wire_shape_kind {
  WIRE_SHAPE_OTHER = 0,
  WIRE_SHAPE_DIGIT = 1,
  WIRE_SHAPE_LOWER = 2,
  WIRE_SHAPE_UPPER = 4,
  WIRE_SHAPE_LETTERS = 6,
};

static inline __u8 wire_shape_kind(__u8 c) {
  if (c >= '0' && c <= '9') return WIRE_SHAPE_DIGIT;
  if (c >= 'a' && c <= 'z') return WIRE_SHAPE_LOWER;
  if (c >= 'A' && c <= 'Z') return WIRE_SHAPE_UPPER;
  return WIRE_SHAPE_OTHER;
}

static inline int wire_is_hex(__u8 c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline void wire_shape_put(struct wire_shape* s, __u8 c) {
  s->text[s->bytes & (WIRE_SHAPE_BYTES - 1)] = c;
  s->bytes++;
}

static inline void wire_shape_star(struct wire_shape* s, __u32 sure) {
  s->stars++;
  if (sure < s->sure) s->sure = sure;
}

/* Is the word one '*'? */
static inline int wire_shape_is_random(const struct wire_shape* s) {
  __u32 letters = s->kinds & WIRE_SHAPE_LETTERS;

  if (s->changes >= 2) return 1;
  if (s->is_hex && letters && (s->word >= 8 || (s->word >= 4 && s->kinds != letters))) return 1;
  /* A group of a UUID that happens to have no digit. */
  return s->is_hex && s->word == 4 && s->before == '-' && s->was_star;
}

/* Does the word look as mkstemp makes them? -1: no, else how sure that is. */
static inline int wire_shape_is_made(const struct wire_shape* s) {
  __u32 letters = s->kinds & WIRE_SHAPE_LETTERS;
  /* Capitals anywhere; as in "fileName" they are of words. */
  int mixed = letters == WIRE_SHAPE_LETTERS && (s->is_mixed || s->run < 2);

  if (s->word < WIRE_RANDOM_SHORTEST || s->word > WIRE_RANDOM_LONGEST || s->is_hex || !letters)
    return -1;
  if (s->changes >= 2) return WIRE_SHAPE_SURE;
  if (mixed && s->very_rare && s->before && !(s->word & 1)) return WIRE_SHAPE_SURE;
  if (mixed && (s->very_rare || s->changes || s->is_directory)) return WIRE_SHAPE_LIKELY;
  if (s->very_rare >= 2 || (s->very_rare && s->changes)) return WIRE_SHAPE_LIKELY;
  /* What is counted through keeps its letters, and so do the names of directories. */
  return mixed || (s->rare && !s->changes && !s->is_directory) ? WIRE_SHAPE_UNSURE : -1;
}

static inline void wire_shape_end_word(struct wire_shape* s) {
  int made, is_random;

  if (!s->word) return;
  made = wire_shape_is_made(s);
  is_random = wire_shape_is_random(s);
  s->was_star = s->kinds == WIRE_SHAPE_DIGIT;
  if (made >= 0) {
    s->bytes = s->begin;
    for (__u32 i = 0; i < WIRE_RANDOM_LONGEST; i++)
      if (i < s->word) wire_shape_put(s, '?');
    wire_shape_star(s, made);
  } else if (is_random) {
    s->bytes = s->begin;
    wire_shape_put(s, '*');
    wire_shape_star(s, WIRE_SHAPE_SURE);
    s->was_star = 1;
  }
  s->word = 0;
}

static inline void wire_shape_begin_word(struct wire_shape* s) {
  s->begin = s->bytes;
  s->changes = 0;
  s->kinds = 0;
  s->rare = 0;
  s->very_rare = 0;
  s->run = 0;
  s->is_hex = 1;
  s->is_mixed = 0;
  s->last = 0;
}

static inline void wire_shape_take_letter(struct wire_shape* s, __u8 c, __u8 kind) {
  __u8 letter = (c | 32) - 'a';

  if (s->last & WIRE_SHAPE_LETTERS) {
    s->rare += wire_rare_pairs[s->letter & 31] >> (letter & 31) & 1;
    s->very_rare += wire_very_rare_pairs[s->letter & 31] >> (letter & 31) & 1;
    if (kind == WIRE_SHAPE_UPPER && s->run < 2) s->is_mixed = 1;
  }
  s->letter = letter;
  s->run = kind == WIRE_SHAPE_LOWER ? s->run + 1 : 0;
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
  if (!s->word) wire_shape_begin_word(s);
  if (s->last && (kind == WIRE_SHAPE_DIGIT) != (s->last == WIRE_SHAPE_DIGIT)) s->changes++;
  if (!wire_is_hex(c)) s->is_hex = 0;
  if (kind != WIRE_SHAPE_DIGIT) {
    wire_shape_take_letter(s, c, kind);
    wire_shape_put(s, c);
  } else if (s->last != WIRE_SHAPE_DIGIT) {
    wire_shape_put(s, '*');
    wire_shape_star(s, WIRE_SHAPE_SURE);
  }
  s->word++;
  s->kinds |= kind;
  s->last = kind;
}

/* Begins a shape. Returns where to go on in the name, of which at least 12 bytes can be read. */
static inline __u32 wire_shape_begin(struct wire_shape* s, const __u8* name, __u32 bytes,
                                     int is_directory) {
  s->bytes = 0;
  s->stars = 0;
  s->word = 0;
  s->sure = WIRE_SHAPE_SURE;
  s->before = 0;
  s->letter = 0;
  s->was_star = 0;
  s->is_directory = is_directory;
  s->pad = 0;
  wire_shape_begin_word(s);
  if (is_directory && bytes == 2 && wire_is_hex(name[0]) && wire_is_hex(name[1]) &&
      (wire_shape_kind(name[0]) | wire_shape_kind(name[1])) != WIRE_SHAPE_DIGIT) {
    wire_shape_put(s, '?');
    wire_shape_put(s, '?');
    wire_shape_star(s, WIRE_SHAPE_LIKELY);
    return 2;
  }
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
  wire_shape_star(s, WIRE_SHAPE_SURE);
  return 11;
}
