#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A kernel that has BPF LSM and was booted without it: its programs load and attach, and are never
# called. Files are then seen by the exit of system calls, and it is said what to change.
#
#   without_lsm_test.sh BUILD [SERIES]
set -euo pipefail

here="$(dirname "$(readlink -f "$0")")"
build="$(readlink -f "$1")"
kernel="$("$here/fetch_kernel.sh" "${2:-6.12}")"
work="$(mktemp -d "${TMPDIR:-/tmp}/vedette-without-lsm.XXXXXX")"
trap 'rm -rf "$work"' EXIT

strip -g -o "$work/by_hook" "$build/kernel_files_lsm_root_test"
strip -g -o "$work/files" "$build/kernel_files_root_test"
"$here/boot.sh" -t 240 -a lsm=lockdown,capability "$kernel" "$work/by_hook" "$work/files" \
  "$build/vedette_actor" "$build/vedette_actor:$build/vedette_actor" -- \
  sh -c 'cd /tmp && by_hook --gtest_filter="FilesTest.*:FilesLsmTest.AnExecutionIsNoRead" &&
    files --gtest_filter=FilesTest.AFileThatIsMadeIsToldAndThenCounted' | tee "$work/said"

grep -Eq 'since bpf is not among its security modules \((lockdown,capability[a-z,]*)\); boot it with lsm=\1,bpf' \
  "$work/said" || {
  echo "FAIL: what to change is not told"
  exit 1
}
grep -q '^needs BPF LSM' "$work/said" || {
  echo "FAIL: BPF LSM was found where it is not called"
  exit 1
}
