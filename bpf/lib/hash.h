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

/* SipHash-1-3 (Aumasson, Bernstein) of a buffer of HASH_INPUT_WORDS words, zero after `bytes`, with
 * the secret of this boot. The length is mixed in, so trailing zeros do not collide. */
static __always_inline __u64 keyed_hash(const __u64* words, __u32 bytes) {
  struct wire_config* c = config();
  __u64 v0, v1, v2, v3;

  if (!c) return 0;
  v0 = c->hash_secret[0] ^ 0x736f6d6570736575ULL;
  v1 = c->hash_secret[1] ^ 0x646f72616e646f6dULL;
  v2 = c->hash_secret[0] ^ 0x6c7967656e657261ULL;
  v3 = c->hash_secret[1] ^ 0x7465646279746573ULL;
  for (__u32 i = 0; i < HASH_INPUT_WORDS; i++) {
    if (i * 8 >= bytes) break;
    v3 ^= words[i];
    SIP_ROUND(v0, v1, v2, v3);
    v0 ^= words[i];
  }
  v3 ^= (__u64)bytes << 56;
  SIP_ROUND(v0, v1, v2, v3);
  v0 ^= (__u64)bytes << 56;
  v2 ^= 0xff;
  SIP_ROUND(v0, v1, v2, v3);
  SIP_ROUND(v0, v1, v2, v3);
  SIP_ROUND(v0, v1, v2, v3);
  return v0 ^ v1 ^ v2 ^ v3;
}
