#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes bpf/wire/word_pairs.h: find / -xdev -printf '%f\\n' | word_pairs.py > bpf/wire/word_pairs.h

Reads names of files, takes the words of one case in them, each once, and counts which letters stand
beside each other."""

import collections
import re
import string
import sys

RARE = 50  # In 22,453 words.
VERY_RARE = 20
SHORTEST = 4
# What must never be taken for a random name, whatever the names that were read.
KEPT = ("authorized backup config cronjob crontab daemon gshadow identity kernel keyring kubeconfig "
        "manifest master nobody passwd password policy private rootkit script secret server "
        "service session settings shadow sudoers syslog system update upgrade wallet").split()

HEAD = """/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Letters that seldom stand beside each other in words, as bits of the second by the first. Made by
 * tests/bpf/word_pairs.py from the names of files of a host. */

#include "bpf/wire/base.h"
"""


def main():
    words = set()
    for line in sys.stdin.buffer:
        for word in re.findall("[A-Za-z0-9]+", line.decode(errors="replace")):
            if word.isalpha() and len(word) >= SHORTEST and (
                    word.islower() or word.isupper() or word.istitle()):
                words.add(word.lower())
    pairs = collections.Counter(a + b for word in words for a, b in zip(word, word[1:]))
    for word in KEPT:
        for a, b in zip(word, word[1:]):
            pairs[a + b] += RARE
    print(HEAD)
    for name, bound in (("rare", RARE), ("very_rare", VERY_RARE)):
        rows = []
        for a in string.ascii_lowercase:
            rows.append(sum(1 << i for i, b in enumerate(string.ascii_lowercase)
                            if pairs[a + b] < bound))
        rows += [0] * (32 - len(rows))
        print(f"/* In fewer than {bound} of {len(words):,} words. */")
        print(f"static const __u32 wire_{name}_pairs[32] = {{")
        for i in range(0, 32, 6):
            print("    " + " ".join(f"0x{row:07x}," for row in rows[i:i + 6]))
        print("};\n" if name == "rare" else "};")


main()
