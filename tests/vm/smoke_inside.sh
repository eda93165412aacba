#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside the virtual machine, under busybox. Each check is one line of output; the exit code
# says whether all held.
failed=0

# check NAME COMMAND [ARGUMENT]...
check() {
  name="$1"
  shift
  if output="$("$@" 2>&1)"; then
    echo "ok   $name"
  else
    echo "FAIL $name: $output"
    failed=1
  fi
}

mounted() {
  grep -q " $2 $1 " /proc/mounts
}

cgroup_can_be_made() {
  mkdir /sys/fs/cgroup/smoke && grep -qx populated\ 0 /sys/fs/cgroup/smoke/cgroup.events &&
    rmdir /sys/fs/cgroup/smoke
}

says() {
  wanted="$1"
  shift
  "$@" | grep -q "$wanted"
}

echo "kernel $(uname -r)"
check "BTF is there" test -s /sys/kernel/btf/vmlinux
check "cgroup v2 is mounted" mounted cgroup2 /sys/fs/cgroup
check "bpffs is mounted" mounted bpf /sys/fs/bpf
check "a cgroup can be made" cgroup_can_be_made
check "BPF is an active security module" grep -q bpf /sys/kernel/security/lsm
check "an exec" says "exec done=1" vedette_actor exec
check "a TCP flow" says "flow bytes=100" vedette_actor flow:100

if [ -x /bin/vedette ]; then
  check "the agent starts" vedette --help
fi
exit "$failed"
