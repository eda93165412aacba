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

# The agent answers its doctor once it watches; under emulation loading takes a quarter of a minute.
agent_answers() {
  tries=0
  until vedette doctor >/run/doctor 2>&1; do
    [ $? -eq 3 ] && [ "$tries" -lt 300 ] && kill -0 "$agent" || break
    tries=$((tries + 1))
    usleep 200000
  done
}

agent_is_ready() {
  agent_answers
  vedette doctor >/run/doctor 2>&1 || {
    cat /run/doctor /run/agent.log
    return 1
  }
}

probe_is_ok() {
  grep "^$1 " /run/doctor | grep -q ' ok ' || {
    cat /run/doctor
    return 1
  }
}

# On a kernel that refuses the programs the agent runs all the same, and says so.
refusal_is_told() {
  agent_answers
  vedette doctor >/run/doctor 2>&1
  [ $? -eq 1 ] && grep "^$1 " /run/doctor | grep degraded | grep -q "refused the programs" || {
    cat /run/doctor /run/agent.log
    return 1
  }
}

has_cap_capable() {
  grep -q btf_trace_cap_capable /sys/kernel/btf/vmlinux
}

# Exit code 1: the doctor has a complaint.
capabilities_are_degraded() {
  agent_is_ready >/dev/null
  vedette doctor >/run/doctor 2>&1
  [ $? -eq 1 ] && grep "^capability " /run/doctor | grep degraded | grep -q "no tracepoint cap_capable" || {
    cat /run/doctor /run/agent.log
    return 1
  }
}

# seen KIND PATTERN...: a line of the tap is of that kind and holds all of them.
seen() {
  kind="$1"
  shift
  tries=0
  until grep "\"kind\":\"$kind\"" /run/events >/run/seen; do_all_match "$@"; do
    [ "$tries" -lt 100 ] || {
      tail -n 20 /run/events
      return 1
    }
    tries=$((tries + 1))
    usleep 100000
  done
}

do_all_match() {
  for pattern in "$@"; do
    grep -e "$pattern" /run/seen >/run/seen.next
    mv /run/seen.next /run/seen
  done
  [ -s /run/seen ]
}

# The tap is open when an act is seen that is done again and again until then.
tap_opens() {
  : >/run/events  # Not what the tap before has left.
  vedette events -o jsonl >/run/events 2>&1 &
  tap=$!
  tries=0
  until [ -s /run/events ]; do
    [ "$tries" -lt 100 ] || return 1
    tries=$((tries + 1))
    vedette_actor nothing
    usleep 100000
  done
}

files_are_seen_by_lsm() {
  grep "^files " /run/doctor | grep " ok " | grep -q "by BPF LSM" || {
    cat /run/doctor /run/agent.log
    return 1
  }
}

nothing_is_left() {
  [ -z "$(find /sys/fs/bpf -type f)" ] && [ ! -e /sys/fs/bpf/vedette ]
}

if [ -x /bin/vedette ]; then
  echo "nameserver 127.0.0.1" >/etc/resolv.conf
  vedette run --duration 10m >/run/agent.log 2>&1 &
  agent=$!
  agent_answers
  if grep "^process " /run/doctor | grep -q degraded; then
    for probe in cgroup process connect tcp udp privilege scan; do
      check "that this kernel refuses probe $probe is told" refusal_is_told "$probe"
    done
    kill "$agent"
    wait "$agent"
    check "the agent stops by itself" test $? -eq 0
    check "a stop leaves nothing attached" nothing_is_left
    echo "SKIP needs probe process"
    exit "$failed"
  fi
  check "the agent is ready and its doctor has no complaint" agent_is_ready
  for probe in cgroup process connect tcp udp privilege; do
    check "probe $probe is loaded and attached" probe_is_ok "$probe"
  done
  check "the tap shows events" tap_opens
  mkdir -p /sys/fs/cgroup/smoke
  sh -c 'echo $$ >/sys/fs/cgroup/smoke/cgroup.procs && exec vedette_actor exec:1 flow:100 udp:1:9'
  service='"workload":"host/smoke"'
  check "an exec is seen" seen exec "$service" '"summary":"/proc/self/exe nothing, by /bin/vedette_actor"'
  check "a connect is seen" seen connect "$service" '"protocol":"tcp"' '"remote":"127.0.0.1:'
  check "an accept is seen" seen accept "$service" '"protocol":"tcp"'
  check "a listening port is seen" seen listen "$service" '"protocol":"tcp"'
  check "the end of a flow is seen" seen flow "$service" '"stage":"closed"' '"sent_bytes":100'
  check "its other end too" seen flow "$service" '"stage":"closed"' '"received_bytes":100'
  check "a datagram is seen" seen connect "$service" '"protocol":"udp"' '"remote":"127.0.0.1:9"'
  sh -c 'echo $$ >/sys/fs/cgroup/smoke/cgroup.procs && exec /bin/insmod /lib/dummy.ko'
  check "a module was loaded" grep -q "^dummy " /proc/modules
  check "and is seen" seen module "$service" 'busybox loaded the kernel module dummy' '"taints":0'
  sh -c 'echo $$ >/sys/fs/cgroup/smoke/cgroup.procs && exec vedette_actor io-uring'
  check "an io_uring is seen" seen io_uring "$service" 'vedette_actor created an io_uring'
  vedette_actor pause &
  outside=$!
  sh -c "echo \$\$ >/sys/fs/cgroup/smoke/cgroup.procs && exec vedette_actor kill:$outside:15"
  check "a signal is seen" seen signal "$service" '"signal":"SIGTERM"' "\"target_pid\":$outside"
  kill "$tap" "$agent"
  wait "$agent"
  check "the agent stops by itself" test $? -eq 0
  check "a stop leaves nothing attached" nothing_is_left

  vedette run --duration 10m --set probes.capabilities=on --set probes.files=on >/run/agent.log 2>&1 &
  agent=$!
  if has_cap_capable; then
    check "the agent is ready, with the probe of capabilities" agent_is_ready
    check "probe capability is loaded and attached" probe_is_ok capability
  else
    check "what this kernel cannot show is degraded, and the agent runs" capabilities_are_degraded
  fi
  check "the other probes are well" probe_is_ok privilege
  check "files are seen by BPF LSM" files_are_seen_by_lsm
  check "the tap shows events again" tap_opens
  sh -c 'echo $$ >/sys/fs/cgroup/smoke/cgroup.procs && exec vedette_actor open:creat:/run/made open:uring:/run/ring'
  check "a file that is made is seen" seen file "$service" '"path":"/run/made"' '"verb":"create"'
  check "and its hook is told" seen file '"path":"/run/made"' '"hook":"lsm/file_open"'
  check "a file that is made by an io_uring is seen" seen file "$service" '"path":"/run/ring"' '"verb":"create"'
  kill "$tap" "$agent"
  wait "$agent"
  check "the agent stops by itself again" test $? -eq 0
fi
exit "$failed"
