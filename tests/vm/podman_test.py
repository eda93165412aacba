#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Podman on a host where cgroup v2 stands alone: what it starts is the container's, and no more.

  podman_test.py DEB [CONSOLE]

Installs the package and starts a container with each of podman's cgroup managers and runtimes, as a
person does in a login session. Each is a workload of its own, in which nothing stands that the
runtime did on its way, and no move is a finding. crun is podman's default on Debian 12, and refuses
to work where v1 hierarchies are mounted beside v2, as on many machines that tests run on.
"""

import sys
import tempfile
from pathlib import Path

from host_test import Host, depends
from machine import Machine, MachineError, build_image, make_disk

PODMAN = "podman --events-backend none"
# Overlay is a module, and the machine has none; what podman noted at boot is of overlay.
STORAGE = """rm -rf /var/lib/containers/storage && printf '[storage]\\ndriver = "vfs"\\n%s\\n%s\\n' \\
  'graphroot = "/var/lib/containers/storage"' 'runroot = "/run/containers/storage"' \\
  >/etc/containers/storage.conf"""
IMAGE = "localhost/vedette-test:1"
# Debian's image has no static program that could be the container's.
BUSYBOX = "/bin/busybox"


def starts(host, manager, runtime):
    name = f"{manager}-{runtime}"
    # A session by its name; what made the session is of no interest to podman.
    host.runs(f"podman starts a container with {runtime} and {manager}",
              f"systemd-run --quiet --scope --unit=session-{name}.scope env -u INVOCATION_ID "
              f"{PODMAN} --cgroup-manager {manager} --runtime {runtime} run --detach --name {name} "
              f"--network none --log-driver none {IMAGE} {BUSYBOX} sh -c "
              f"'{BUSYBOX} true; exec {BUSYBOX} sleep 1000' 2>&1", seconds=60)
    show = f"vedette profile show container/podman/{name} -o json"
    # The shell, what it starts, and nothing of the runtime but the subject of the first.
    host.comes("it is a workload of its own", f"{show} 2>/dev/null | grep -q {BUSYBOX}")
    host.runs("what it did is its own alone",
              f"{show} | grep -o '\"object\": *\"[^\"]*\"' | sort -u", says=f"^[^\n]*{BUSYBOX}\"\n$")


def checks(host):
    host.runs("the package installs", "apt-get install -qq -y /root/vedette.deb 2>&1", seconds=120)
    host.runs("there is an image", f"{STORAGE} && "
              "mkdir -p /root/tree/bin && cp /root/busybox /root/tree/bin/ && "
              f"tar -C /root/tree -cf /root/image.tar . && {PODMAN} import /root/image.tar {IMAGE} "
              "2>&1", seconds=60)
    for manager in ("systemd", "cgroupfs"):
        for runtime in ("crun", "runc"):
            starts(host, manager, runtime)
    host.runs("no move is a finding", "vedette finding list -o jsonl", says="^$")
    # They would not hear the shutdown.
    host.runs("they end", f"{PODMAN} rm --all --force --time 0", seconds=60)


def test(deb, console):
    image = build_image(sorted(set(depends(deb)) | {"podman", "crun", "runc"}))
    with tempfile.TemporaryDirectory(prefix="vedette-podman.") as folder:
        with Machine(make_disk(image, f"{folder}/disk"), console) as machine:
            host = Host(machine)
            machine.copy_in({"/root/vedette.deb": deb, "/root/busybox": BUSYBOX})
            checks(host)
            if host.failed:
                print(machine.run("vedette profile list; journalctl -u vedette -o cat --no-pager "
                                  "| tail -n 40").output)
            return host.failed


def main():
    deb = str(Path(sys.argv[1]).resolve())
    console = (sys.argv[2:] or [f"{Path(sys.argv[1]).parent}/vm_podman.console.log"])[0]
    if not Path(deb).exists():
        print(f"podman_test.py: {deb} is not there; build it with `ninja -C build/release deb`")
        return 1
    try:
        failed = test(deb, console)
    except MachineError as error:
        print(f"FAIL {error}")
        failed = 1
    if failed:
        print(f"The console is {console}. To repeat: ninja -C build/release deb && "
              f"{Path(__file__).resolve()} {deb} {console}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
