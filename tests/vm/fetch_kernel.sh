#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches one of Debian's own cloud kernels into the cache and prints the path of its image. Nothing
# is installed: the package is downloaded and unpacked. What is in the cache is used for KEPT_DAYS,
# and for longer when there is no network. Beside the image, in modules/, are dummy.ko, a module that
# does nothing by itself, and overlay.ko.
#
#   fetch_kernel.sh [5.10|6.1|6.12|7]        default: 6.1, the one of Debian 12
set -euo pipefail

# shellcheck source=tests/vm/debian.sh
. "$(dirname "$(readlink -f "$0")")/debian.sh"
readonly SERIES="${1:-6.1}"
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/vedette/kernels"
readonly KEPT_DAYS=30

fail() {
  echo "fetch_kernel.sh: $1" >&2
  exit 3
}

# suite | archive | the packages, as a regular expression
case "$SERIES" in
  5.10) source="bullseye-security|debian-security|linux-image-5\.10\.0-[0-9]+-cloud-amd64" ;;
  6.1) source="bookworm-security|debian-security|linux-image-6\.1\.0-[0-9]+-cloud-amd64" ;;
  6.12) source="bookworm-backports|debian|linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64(-unsigned)?" ;;
  7) source="sid|debian|linux-binary-7\.[0-9.]+\+deb[0-9]+-cloud-amd64" ;;
  *)
    echo "fetch_kernel.sh: there is no series '$SERIES'; there are 5.10, 6.1, 6.12 and 7" >&2
    exit 2
    ;;
esac
IFS='|' read -r suite archive packages <<<"$source"

# The newest kernel of this series in the cache that is whole.
cached() { # cached [FIND TEST]...
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended -regex ".*/$packages" "$@" \
    -exec test -e '{}/modules/overlay.ko' ';' -print 2>/dev/null | sort -V | tail -n 1 || true
}

image_in() {
  find "$1" -name 'vmlinuz*' -type f 2>/dev/null | sort | tail -n 1 || true
}

finish() { # finish FOLDER
  local image
  image="$(image_in "$1")"
  [[ -n "$image" ]] || fail "$1 holds no kernel image; remove it and try again"
  echo "$image"
  exit 0
}

# What the network does not give is taken from the cache, however old.
give_up() {
  local old
  old="$(cached)"
  [[ -n "$old" ]] || fail "$1"
  echo "fetch_kernel.sh: $1; $old is used" >&2
  finish "$old"
}

mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9
fresh="$(cached -mtime "-$KEPT_DAYS")"
[[ -z "$fresh" ]] || finish "$fresh"

work="$(mktemp -d "$CACHE/fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT
open_suite "$work" "$suite" "$archive" || give_up "the lists of Debian's $suite cannot be read"
package="$(newest_package "$packages")"
[[ -n "$package" ]] || give_up "Debian's $suite has no package $packages"
# Debian 14 has modules in a package of their own.
wanted=("$package")
[[ "$package" != linux-binary-* ]] || wanted+=("${package/binary/modules}")
unpack_packages "$work/root" "${wanted[@]}" || give_up "cannot download ${wanted[*]} of Debian's $suite"

# All modules would take 100 MB of the cache.
mkdir -p "$work/out/boot" "$work/out/modules"
cp "$(image_in "$work/root")" "$work/out/boot/vmlinuz-${package#linux-*-}"
for name in net/dummy fs/overlay; do
  module="$(find "$work/root" -name "${name#*/}.ko*" -path "*/${name%/*}/*" | head -n 1)"
  case "$module" in
    *.xz) xz -dc "$module" >"$work/out/modules/${name#*/}.ko" ;;
    *.zst) zstd -qdc "$module" >"$work/out/modules/${name#*/}.ko" ;;
    *.ko) cp "$module" "$work/out/modules/" ;;
    *) fail "$package has no module ${name#*/}" ;;
  esac
done
rm -rf "${CACHE:?}/$package"
mv "$work/out" "$CACHE/$package"
touch "$CACHE/$package"
finish "$CACHE/$package"
