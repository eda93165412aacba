#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a QEMU that boots each of the kernels: under Debian 12's own 7.2 some boots of
# 6.12 panic before anything runs (one in eight). That of bookworm-backports is unpacked into the cache; nothing is
# installed, and its libraries are those of Debian 12's QEMU. Where it cannot be had, the one that is
# installed. Its firmware is below the root that the path begins with.
set -euo pipefail

# shellcheck source=tests/vm/debian.sh
. "$(dirname "$(readlink -f "$0")")/debian.sh"
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/vedette"
readonly TARGET="$CACHE/qemu-backports"
readonly PROGRAM="usr/bin/qemu-system-x86_64"

# give_up WHY
give_up() {
  if ! command -v qemu-system-x86_64; then
    echo "fetch_qemu.sh: $1, and none is installed; run deploy/install-packages.sh test" >&2
    exit 3
  fi
  echo "fetch_qemu.sh: $1; the QEMU that is installed is used, under which 6.12 may panic at boot" >&2
  exit 0
}

mkdir -p "$CACHE"
exec 9>"$CACHE/qemu.lock"
flock 9
if [[ ! -x "$TARGET/$PROGRAM" ]]; then
  work="$(mktemp -d "$CACHE/qemu.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  open_suite "$work" bookworm-backports debian || give_up "the lists of Debian's bookworm-backports cannot be read"
  unpack_packages "$work/root" qemu-system-x86 qemu-system-data qemu-system-common seabios ||
    give_up "QEMU of Debian's bookworm-backports cannot be downloaded"
  "$work/root/$PROGRAM" --version >/dev/null || give_up "QEMU of bookworm-backports does not run here"
  rm -rf "$TARGET"
  mv "$work/root" "$TARGET"
fi
echo "$TARGET/$PROGRAM"
