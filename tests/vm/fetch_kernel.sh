#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian 12's own cloud kernel into the cache and prints the path of its image.
# Nothing is installed: the package is downloaded and unpacked. A second call finds it in the cache.
# Beside the image, in modules/, is one module that does nothing by itself: dummy.ko.
set -euo pipefail

readonly META="${1:-linux-image-cloud-amd64}"
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/vedette/kernels"

fail() {
  echo "fetch_kernel.sh: $1" >&2
  exit 3
}

image_in() {
  find "$1" -path '*vmlinuz-*' -type f 2>/dev/null | sort | tail -n 1 || true
}

command -v apt-get >/dev/null || fail "apt-get is not here; kernels are fetched on Debian 12 only"

# The meta package names the concrete one: linux-image-6.1.0-NN-cloud-amd64.
package="$(apt-cache depends --important "$META" 2>/dev/null |
  awk '/Depends: linux-image-[0-9]/ && !name { name = $2 } END { print name }' || true)"
if [[ -z "$package" ]]; then
  newest="$(find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name 'linux-image-*' 2>/dev/null | sort -V | tail -n 1 || true)"
  image="$([[ -n "$newest" ]] && image_in "$newest" || true)"
  [[ -n "$image" ]] || fail "apt knows no package $META; run apt-get update"
  echo "$image"
  exit 0
fi

readonly TARGET="$CACHE/$package"
image="$(image_in "$TARGET")"
if [[ -z "$image" || ! -e "$TARGET/modules/dummy.ko" ]]; then
  mkdir -p "$CACHE"
  work="$(mktemp -d "$CACHE/fetch.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
  # apt drops to the user _apt, who must be able to write here.
  chmod 755 "$work"
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" "$package" >&2) ||
    fail "cannot download $package; run apt-get update and try again"
  dpkg-deb -x "$work"/*.deb "$work/root"
  # All modules would take 100 MB of the cache.
  mkdir -p "$work/out/boot" "$work/out/modules"
  cp "$(image_in "$work/root")" "$work/out/boot/"
  find "$work/root" -name dummy.ko -path '*/drivers/net/*' -exec cp {} "$work/out/modules/" ';'
  rm -rf "$TARGET"
  mv "$work/out" "$TARGET"
  image="$(image_in "$TARGET")"
fi
[[ -n "$image" ]] || fail "$package holds no kernel image"
echo "$image"
