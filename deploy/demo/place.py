#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""place.py CGROUP COMMAND…: moves itself to the cgroup and becomes the command."""
import os
import sys

with open(os.path.join(sys.argv[1], "cgroup.procs"), "w", encoding="ascii") as procs:
    procs.write(str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
