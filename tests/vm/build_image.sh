#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the path of an image of Debian 12 with systemd and the given packages, as machine.py boots
# it: an ext4 file system, sparse. Kept in the cache by the list of its packages; the first call
# takes a minute and needs a Debian mirror, but neither root nor anything installed by it.
#
#   build_image.sh [PACKAGE]...
set -euo pipefail

here="$(dirname "$(readlink -f "$0")")"
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/vedette/images"
readonly SIZE=2G
readonly KEPT=3
# What a host has that jobs and people use. openssh-server and cron bring what they need.
readonly BASE=(systemd-sysv dbus udev kmod procps iproute2 cron logrotate openssh-server
  openssh-client bpftool)

fail() {
  echo "build_image.sh: $1" >&2
  exit 3
}

for tool in mmdebstrap fakeroot mke2fs; do
  PATH="$PATH:/sbin:/usr/sbin" command -v "$tool" >/dev/null ||
    fail "$tool is missing; run deploy/install-packages.sh test"
done

packages="$(printf '%s\n' "${BASE[@]}" "$@" | sort -u | paste -sd ,)"
key="$(cat "$0" "$here/serve.sh" - <<<"$packages" | sha256sum | cut -c 1-16)"
image="$CACHE/debian-12-$key.img"
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9
if [[ -e "$image" ]]; then
  touch "$image"
  echo "$image"
  exit 0
fi

work="$(mktemp -d "$CACHE/build.XXXXXX")"
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cat >"$work/vm-serve.service" <<'UNIT'
[Unit]
Description=Commands from outside this virtual machine
After=multi-user.target
[Service]
ExecStart=/usr/local/sbin/vm-serve
[Install]
WantedBy=multi-user.target
UNIT
cat >"$work/customize" <<CUSTOMIZE
set -e
cp "$work/vm-serve.service" "\$1/etc/systemd/system/"
mkdir -p "\$1/etc/systemd/system/multi-user.target.wants"
ln -s ../vm-serve.service "\$1/etc/systemd/system/multi-user.target.wants/"
install -m 755 "$work/serve.sh" "\$1/usr/local/sbin/vm-serve"
echo vedette-vm >"\$1/etc/hostname"
echo "127.0.0.1 localhost vedette-vm" >"\$1/etc/hosts"
# Later packages are installed in full.
rm -f "\$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
CUSTOMIZE
cp "$here/serve.sh" "$work/"
chmod 755 "$work/customize" "$work/serve.sh"

mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="sh $work/customize \"\$1\"" bookworm "$work/root.tar" >&2 ||
  fail "mmdebstrap could not build Debian 12 with $packages; what it said is above"
# fakeroot keeps the owners that only root could set.
# shellcheck disable=SC2016
PATH="$PATH:/sbin:/usr/sbin" fakeroot bash -c 'set -e; mkdir "$0/root"
  tar -C "$0/root" -xpf "$0/root.tar"
  mke2fs -q -t ext4 -d "$0/root" "$0/image" '"$SIZE" "$work" >&2 || fail "the image cannot be written"
mv "$work/image" "$image"
find "$CACHE" -maxdepth 1 -name 'debian-12-*.img' -printf '%T@ %p\n' | sort -rn |
  tail -n +$((KEPT + 1)) | cut -d ' ' -f 2- | xargs -r rm -f
echo "$image"
