#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boots a kernel in QEMU with an initramfs of busybox and the given files, runs one command inside
# and ends with its exit code.
#
#   boot.sh [-t SECONDS] [-m MIB] [-a KERNEL_ARGUMENTS] [-l LOG] KERNEL [FILE[:PATH] | DIR]... -- COMMAND [ARGUMENT]...
#
# FILE is put at PATH inside (default /bin/NAME), together with the shared libraries it needs.
# DIR is laid over the root. Needs neither root nor a network nor /dev/kvm: the processor is
# emulated, so timings inside mean nothing. Exit: the command's own, 3 cannot boot, 124 too long.
set -euo pipefail

seconds=120
memory=1024
arguments=""
log=""
while getopts "t:m:a:l:" option; do
  case "$option" in
    t) seconds="$OPTARG" ;;
    m) memory="$OPTARG" ;;
    a) arguments="$OPTARG" ;;
    l) log="$OPTARG" ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))

fail() {
  echo "boot.sh: $1" >&2
  exit "${2:-3}"
}

[[ $# -ge 1 ]] || fail "usage: boot.sh [-t SECONDS] KERNEL [FILE[:PATH] | DIR]... -- COMMAND..." 2
readonly kernel="$1"
shift
[[ -r "$kernel" ]] || fail "cannot read the kernel $kernel" 2
for tool in cpio busybox; do
  command -v "$tool" >/dev/null || fail "$tool is missing; run deploy/install-packages.sh test"
done
qemu="$("$(dirname "$(readlink -f "$0")")/fetch_qemu.sh")" || fail "there is no QEMU"
readonly firmware="${qemu%/bin/*}/share"

work="$(mktemp -d "${TMPDIR:-/tmp}/vedette-vm.XXXXXX")"
trap 'rm -rf "$work"' EXIT
readonly root="$work/root"
mkdir -p "$root"/{bin,dev,etc,proc,root,run,sys,tmp,var/lib,var/log}

# Copies one file in, with the closure of its shared libraries where they are looked for.
add_file() {
  local from="$1" to="$2" library
  mkdir -p "$root/$(dirname "$to")"
  cp -L "$from" "$root/$to"
  while read -r library; do
    [[ -e "$root/$library" ]] || { mkdir -p "$root/$(dirname "$library")" && cp -L "$library" "$root/$library"; }
  done < <(ldd "$from" 2>/dev/null | grep -o '/[^ ]*' || true)
}

add_file "$(command -v busybox)" /bin/busybox
while [[ $# -gt 0 && "$1" != -- ]]; do
  if [[ -d "$1" ]]; then
    cp -a "$1/." "$root/"
  else
    file="${1%%:*}"
    [[ -r "$file" ]] || fail "cannot read $file" 2
    if [[ "$1" == *:* ]]; then add_file "$file" "${1#*:}"; else add_file "$file" "/bin/$(basename "$file")"; fi
  fi
  shift
done
[[ "${1:-}" == -- ]] && shift
[[ $# -gt 0 ]] || fail "no command after --" 2
printf '%q ' "$@" >"$root/command"

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin HOME=/root
/bin/busybox --install -s /bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
hostname vedette-vm
ip link set lo up
echo "root:x:0:0:root:/root:/bin/sh" >/etc/passwd
echo "root:x:0:" >/etc/group
echo
echo "VEDETTE_VM_BEGIN $(cut -d ' ' -f 1 /proc/uptime)"
sh /command
code=$?
echo
echo "VEDETTE_VM_EXIT=$code"
poweroff -f
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initramfs"

output="${log:-$work/log}"
status=0
timeout --kill-after=5 "$seconds" "$qemu" -L "$firmware/qemu" -L "$firmware/seabios" \
  -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" -nic none -nographic -no-reboot \
  -kernel "$kernel" -initrd "$work/initramfs" \
  -append "console=ttyS0 quiet panic=-1 lsm=lockdown,capability,landlock,bpf $arguments" \
  </dev/null >"$output" 2>&1 || status=$?

# The serial line ends its lines with \r\n, and the firmware plays with the screen.
sed -i 's/\r//g; s/\x1b\[[0-9;?]*[A-Za-z]//g; s/\x1bc//g' "$output"
sed -n '/^VEDETTE_VM_BEGIN/,/^VEDETTE_VM_EXIT=/p' "$output" | grep -v '^VEDETTE_VM_' | sed '${/^$/d}' || true
code="$(sed -n 's/^VEDETTE_VM_EXIT=\([0-9]*\)$/\1/p' "$output" | tail -n 1)"
if [[ -z "$code" ]]; then
  echo "boot.sh: the last lines of the console:" >&2
  tail -n 30 "$output" >&2
  [[ "$status" -ne 124 && "$status" -ne 137 ]] || fail "nothing came to an end within $seconds s" 124
  fail "the machine stopped before the command had ended (qemu: $status)"
fi
exit "$code"
