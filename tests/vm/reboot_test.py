#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One host, booted twice on one disk: what was learned before the reboot holds after it.

  reboot_test.py DEB [CONSOLE]

Installs the package, runs services and jobs, freezes all profiles, and boots again: the same
services and jobs run, and nothing is found. What the test's own console does is left out.
"""

import sys
import tempfile
from pathlib import Path

from host_test import JOB, Host, depends, job
from machine import Machine, MachineError, build_image, make_disk

CONSOLE = "vm-serve.service"
SERVICES = ("cron", "ssh", "systemd-journald", "systemd-logind", "dbus")
JOBS = ("logrotate", "dpkg-db-backup", "systemd-tmpfiles-clean", "e2scrub_all")
LASTING = "lasting.service"
KEY = "/root/.ssh/id_ed25519"
LOGIN = f"ssh -o StrictHostKeyChecking=no -i {KEY} localhost id"
USER_UNITS = "user@0.service user-runtime-dir@0.service user-0.slice"
LOGGED_OUT = (f"! systemctl is-active -q {USER_UNITS} && "
              "systemctl list-jobs 2>&1 | grep -q '^No jobs running' && "
              "[ -z \"$(systemctl list-units --no-legend 'session-*.scope')\" ]")
FOUND = f"vedette finding list -o jsonl | grep -v {CONSOLE} || true"


def works(host, when):
    """What happens on the host, before and after."""
    for service in SERVICES:
        host.runs(f"{service} starts {when}",
                  f"! systemctl cat -- {service} >/dev/null 2>&1 || systemctl restart {service}")
    for name in JOBS:
        host.runs(f"{name} runs {when}",
                  f"! systemctl cat -- {name} >/dev/null 2>&1 || systemctl start {name}")
    host.runs(f"a transient job runs {when}", job("/usr/bin/true"))
    host.runs(f"somebody logs in {when}", LOGIN)
    # Seconds after the last logout systemd stops the manager of the user, and what belongs to it.
    host.comes(f"nothing is left of that login {when}", LOGGED_OUT)


def learns(host):
    host.runs("the package installs", "apt-get install -qq -y /root/vedette.deb 2>&1", seconds=120)
    host.runs("a key is made", f"mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' "
              f"-f {KEY} && cp {KEY}.pub /root/.ssh/authorized_keys")
    works(host, "before the reboot")
    works(host, "a second time")
    host.runs("a service begins that nobody has stopped yet",
              f"systemd-run --quiet --unit={LASTING} /usr/bin/sleep infinity")
    host.comes("it is learned",
               f"vedette profile show host/system.slice/{LASTING} 2>/dev/null | grep -q /sleep")
    host.comes("the job is learned",
               f"vedette profile show {JOB} 2>/dev/null | grep -q /usr/bin/true")
    host.runs("all profiles are frozen", "vedette profile freeze --all")
    # Since the freeze, to be sure that it is the reboot that brings nothing.
    works(host, "after the freeze")
    host.runs("it is stopped for the first time", f"systemctl stop {LASTING}")
    host.comes("that signal is the service manager's job",
               "vedette profile show host/init.scope | sed '/^deviating:/,$d' | "
               f"grep -q 'SIGTERM to a process of host/system.slice/{LASTING}'")
    host.runs("nothing is found before the reboot", FOUND, says="^$")


def holds(host):
    host.comes("the agent has started with the host", "systemctl is-active -q vedette && "
               "vedette doctor >/dev/null")
    host.runs("it knows what it learned", f"vedette profile list | grep {JOB}", says="frozen")
    works(host, "after the reboot")
    # What the kernel told until now is judged when something later is.
    host.runs("something new is done", job("/usr/bin/uptime"))
    host.comes("that is found", f"{FOUND} | grep -q /usr/bin/uptime")
    host.runs("and nothing else, on the host that was learned before its reboot",
              f"vedette finding list -o jsonl | grep -v -e {CONSOLE} -e /usr/bin/uptime", code=1,
              says="^$")


def test(deb, console):
    failed = 0
    image = build_image(sorted(set(depends(deb)) | {"libpam-systemd"}))
    with tempfile.TemporaryDirectory(prefix="vedette-reboot.") as folder:
        disk = make_disk(image, f"{folder}/disk")
        for boot, act in enumerate((learns, holds)):
            if failed:
                break
            with Machine(disk, f"{console}.{boot}") as machine:
                host = Host(machine)
                if act is learns:
                    machine.copy_in({"/root/vedette.deb": deb})
                act(host)
                failed += host.failed
    return failed


def main():
    deb = str(Path(sys.argv[1]).resolve())
    console = (sys.argv[2:] or [f"{Path(sys.argv[1]).parent}/vm_reboot.console.log"])[0]
    if not Path(deb).exists():
        print(f"reboot_test.py: {deb} is not there; build it with `ninja -C build/release deb`")
        return 1
    try:
        failed = test(deb, console)
    except MachineError as error:
        print(f"FAIL {error}")
        failed = 1
    if failed:
        print(f"The consoles are {console}.0 and .1. To repeat: ninja -C build/release deb && "
              f"{Path(__file__).resolve()} {deb} {console}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
