#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boots Debian 12's own kernel and runs smoke_inside.sh in it, with the agent of the release build
# when there is one. Extend smoke_inside.sh; files it needs are added to `files` here.
set -euo pipefail

here="$(dirname "$(readlink -f "$0")")"
repository="$(dirname "$(dirname "$here")")"
build="${VEDETTE_BUILD_DIR:-$repository/build/dev}"
log="$build/vm_smoke.console.log"

kernel="$("$here/fetch_kernel.sh")"
module="$(dirname "$(dirname "$kernel")")/modules/dummy.ko"
files=("$build/vedette_actor" "$here/smoke_inside.sh" "$module:/lib/dummy.ko")
if [[ -x "$repository/build/release/vedette" ]]; then
  files+=("$repository/build/release/vedette")
fi

started="$(date +%s.%N)"
code=0
"$here/boot.sh" -t "${VEDETTE_VM_SECONDS:-180}" -l "$log" "$kernel" "${files[@]}" -- \
  sh /bin/smoke_inside.sh || code=$?
ended="$(date +%s.%N)"
booted="$(sed -n 's/^VEDETTE_VM_BEGIN //p' "$log" 2>/dev/null | tail -n 1)"
echo "$(basename "$kernel"): shell after ${booted:-?} s of its own clock," \
  "$(awk -v a="$started" -v b="$ended" 'BEGIN { printf "%.1f", b - a }') s in all"
if [[ "$code" -ne 0 ]]; then
  echo "The console is in $log. To repeat: VEDETTE_BUILD_DIR=$build $here/smoke.sh" >&2
fi
exit "$code"
