/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/count.h"

#define HASH_INPUT_WORDS 32

static __always_inline __u64 rotl(__u64 x, int b) { return (x << b) | (x >> (64 - b)); }

#define SIP_ROUND(v0, v1, v2, v3) \
  do {                            \
    v0 += v1;                     \
    v1 = rotl(v1, 13);            \
    v1 ^= v0;                     \
    v0 = rotl(v0, 32);            \
    v2 += v3;                     \
    v3 = rotl(v3, 16);            \
    v3 ^= v2;                     \
    v0 += v3;                     \
    v3 = rotl(v3, 21);            \
    v3 ^= v0;                     \
    v2 += v1;                     \
    v1 = rotl(v1, 17);            \
    v1 ^= v2;                     \
    v2 = rotl(v2, 32);            \
  } while (0)

/* SipHash-1-3 (Aumasson, Bernstein) with the secret of this boot. */
struct sip {
  __u64 v0, v1, v2, v3;
};

static __always_inline bool sip_begin(struct sip* s) {
  struct wire_config* c = config();

  if (!c) return false;
  s->v0 = c->hash_secret[0] ^ 0x736f6d6570736575ULL;
  s->v1 = c->hash_secret[1] ^ 0x646f72616e646f6dULL;
  s->v2 = c->hash_secret[0] ^ 0x6c7967656e657261ULL;
  s->v3 = c->hash_secret[1] ^ 0x7465646279746573ULL;
  return true;
}

/* Takes in a part of HASH_INPUT_WORDS words, of which `bytes` count; zero after them. */
static __always_inline void sip_take(struct sip* s, const __u64* words, __u32 bytes) {
  for (__u32 i = 0; i < HASH_INPUT_WORDS; i++) {
    if (i * 8 >= bytes) break;
    s->v3 ^= words[i];
    SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
    s->v0 ^= words[i];
  }
}

/* The length of the whole is mixed in, so trailing zeros do not collide. */
static __always_inline __u64 sip_end(struct sip* s, __u32 bytes) {
  __u64 length = (__u64)bytes << 56 ^ bytes >> 8;

  s->v3 ^= length;
  SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
  s->v0 ^= length;
  s->v2 ^= 0xff;
  SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
  SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
  SIP_ROUND(s->v0, s->v1, s->v2, s->v3);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* Of one buffer of HASH_INPUT_WORDS words, zero after `bytes`. */
static __always_inline __u64 keyed_hash(const __u64* words, __u32 bytes) {
  struct sip s;

  if (!sip_begin(&s)) return 0;
  sip_take(&s, words, bytes);
  return sip_end(&s, bytes);
}
