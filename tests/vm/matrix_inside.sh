#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine, under busybox: what matrix.py reads. Arguments: pairs of a binary
# of kernel tests and its filter.
# The types of a module are found only once it is there.
insmod /lib/overlay.ko
echo "== programs"
vedette_load_programs
while [ $# -gt 1 ]; do
  echo "== tests $1"
  (cd /tmp && "$1" --gtest_filter="$2" --gtest_color=no 2>&1)
  shift 2
done
echo "== smoke"
sh /bin/smoke_inside.sh
echo "smoke ended with $?"
echo "== end"
