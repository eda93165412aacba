#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of deploy/packages.txt that are missing, for the purposes given as
# arguments (default: build). Does nothing, and asks for no password, when all are there.
# Exit: 0 all there, 2 wrong usage, 3 cannot install.
set -euo pipefail

readonly LIST="$(dirname "$(readlink -f "$0")")/packages.txt"
readonly OS_RELEASE="${OS_RELEASE:-/etc/os-release}"

packages_for() {
  awk -v purpose="$1" '
    { sub(/#.*/, ""); gsub(/[ \t]/, "") }
    /^\[.*\]$/ { inside = ($0 == "[" purpose "]"); next }
    inside && length($0) { print }' "$LIST"
}

is_installed() {
  [[ "$(dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | head -n 1)" == installed ]]
}

is_debian_12() {
  [[ -r "$OS_RELEASE" ]] && (
    # shellcheck disable=SC1090
    . "$OS_RELEASE"
    [[ "${ID:-}" == debian && "${VERSION_ID:-}" == 12 ]]
  )
}

wanted=()
for purpose in "${@:-build}"; do
  mapfile -t found < <(packages_for "$purpose")
  if [[ ${#found[@]} -eq 0 ]]; then
    echo "install-packages.sh: no purpose '$purpose' in $LIST; there are:" \
      "$(sed -n 's/^\[\(.*\)\]$/\1/p' "$LIST" | paste -sd ' ')." >&2
    exit 2
  fi
  wanted+=("${found[@]}")
done

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
else
  missing=("${wanted[@]}")
fi
[[ ${#missing[@]} -gt 0 ]] || exit 0

if ! is_debian_12; then
  echo "Vedette installs packages on Debian 12 only; here, please install what these Debian" \
    "packages hold and start again: ${missing[*]}." >&2
  exit 3
fi

as_root=()
if [[ "$(id -u)" -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing and there is no sudo; as root, please run:" \
      "apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 3
  fi
  as_root=(sudo)
fi

echo "Installing with apt: ${missing[*]}"
install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
if ! { "${as_root[@]}" "${install[@]}" update &&
  "${as_root[@]}" "${install[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null; }; then
  echo "apt-get could not install: ${missing[*]}. Its messages are above; mend that and start again." >&2
  exit 3
fi
