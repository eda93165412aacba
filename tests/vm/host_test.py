#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian package on a booted Debian 12: installed, used, upgraded, rotated, killed, purged.

  host_test.py DEB VALIDATOR [CONSOLE]

VALIDATOR is vedette_validate_records of the build.

Boots the image of build_image.sh with what the package depends on, so that nothing else is fetched
inside. Each check is a line of output; exit 1 when one did not hold.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import Machine, MachineError, build_image, make_disk

SHOWN = 600  # Characters of what a failed check said.
AGENT_SECONDS = 60  # Loading programs takes 10 s where the processor is emulated.
# What dpkg, apt, the journal and the clock leave behind whatever is installed.
VOLATILE = re.compile(
    r"/var/(lib/dpkg|lib/apt|cache|log/(apt|dpkg|journal|lastlog|wtmp|btmp)|lib/systemd/(timers|"
    r"catalog|random-seed)|lib/logrotate|tmp)|/etc/(group|gshadow|passwd|shadow)-|"
    r"/etc/\.pwd\.lock|/tmp|/root|/dev|/etc/ld\.so\.cache")
LIST_FILES = "find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/run/*' | sort"
LIST_GROUPS = "cat /etc/group /etc/gshadow"
LIST_PROGRAMS = "bpftool -j prog show | grep -o '\"name\":\"[^\"]*\"' | sort -u"
LIST_LINKS = "bpftool link show | grep -c ^[0-9] || true"

FINDINGS = "/var/log/vedette/findings.jsonl"
NIGHTLY = "nightly.service"
# The workload of that unit, whatever the agent puts in front of it.
JOB = f"\"$(vedette profile list | awk '/{NIGHTLY}/ {{ print $1 }}')\""


class Host:
    """A booted machine, and whether all checks on it have held."""

    def __init__(self, machine):
        self.machine = machine
        self.failed = 0

    def check(self, name, holds, detail=""):
        print(f"ok   {name}" if holds else f"FAIL {name}: {detail}", flush=True)
        self.failed += not holds
        return holds

    def runs(self, name, script, code=0, says="", seconds=60):
        result = self.machine.run(script, seconds)
        holds = result.code == code and re.search(says, result.output) is not None
        self.check(name, holds, f"exit code {result.code}: {result.output.strip()[-SHOWN:]}")
        return result.output

    def comes(self, name, script, seconds=AGENT_SECONDS):
        """The script succeeds within the time; it is tried inside, again and again."""
        self.runs(name, f"until ({script}); do read -t .25 <> <(:); done; true", seconds=seconds)


def depends(deb):
    field = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    return sorted({re.sub(r"[ (|].*", "", part.strip()) for part in field.split(",")})


def install(host):
    host.runs("the host has started without a failed unit", "systemctl is-system-running --wait")
    host.runs("the package installs", "apt-get install -qq -y /root/vedette.deb 2>&1",
              seconds=120)
    host.runs("the service is active once the package is there", "systemctl is-active vedette")
    host.runs("it is enabled", "systemctl is-enabled vedette")
    host.runs("starting it again is no error", "systemctl start vedette")
    host.runs("doctor has no complaint", "vedette doctor", says=": ok\n")
    host.runs("findings can be listed", "vedette finding list")
    host.runs("nothing was refused to the agent",
              "! journalctl -u vedette -o cat | grep -E ' (warning|error) '")
    host.runs("systemd knows no unit that is wrong",
              "systemd-analyze verify --man=no vedette.service 2>&1")
    print("     " + host.machine.must(
        "systemctl show vedette -p MemoryCurrent -p TasksCurrent | paste -sd ' '").strip())


def group_reads(host):
    as_user = "setpriv --reuid=12345 --regid=12345 --clear-groups"
    member = as_user.replace("--clear-groups", "--groups=$(getent group vedette | cut -d: -f3)")
    host.runs("a member of the group reads findings", f"{member} vedette finding list")
    host.runs("and the file of findings", f"{member} cat {FINDINGS} >/dev/null")
    host.runs("but not the store", f"! {member} ls /var/lib/vedette 2>/dev/null")
    host.runs("and freezes nothing", f"{member} vedette profile freeze --all 2>&1", code=3,
              says="only root may change the agent")
    host.runs("anybody else does not read", f"{as_user} vedette finding list 2>&1", code=3,
              says="no permission to open")
    host.runs("nor the configuration", f"! {as_user} cat /etc/vedette/vedette.yaml 2>/dev/null")


def job(command):
    """The same transient unit, whose cgroup is made anew each time."""
    return f"systemd-run --quiet --wait --collect --unit=nightly {command}"


def finds(host):
    host.runs("a job runs", job("/usr/bin/true"))
    host.comes("it is learned", f"vedette profile show {JOB} 2>/dev/null | grep -q /usr/bin/true")
    host.runs("root freezes its profile", f"vedette profile freeze {JOB}")
    host.runs("the job does the same again", job("/usr/bin/true"))
    host.runs("the job does something new", job("/usr/bin/uptime"))
    host.comes("that is a finding in the file",
               f"grep {NIGHTLY} {FINDINGS} | grep -q /usr/bin/uptime")
    host.runs("and the only one of the job", f"vedette finding list -w {JOB} -o jsonl | wc -l",
              says="^1\n")


def rotates(host):
    host.runs("logrotate rotates", "logrotate -f /etc/logrotate.d/vedette 2>&1")
    host.runs("a second new thing is done", job("/usr/bin/hostid"))
    host.comes("the finding is in a new file", f"grep -qs /usr/bin/hostid {FINDINGS}")
    host.runs("and the old file is as it was", f"grep -c /usr/bin/uptime {FINDINGS}.1",
              says="^[1-9]")
    host.runs("the new file has its owner and mode", f"stat -c '%U:%G %a' {FINDINGS}",
              says="^root:vedette 640\n")


def obeys_its_schemas(host, validator):
    written = host.machine.must(f"cat {FINDINGS}.1 {FINDINGS}")
    result = subprocess.run([validator], input=written, stdout=subprocess.PIPE, text=True,
                            check=False)
    host.check("all that was written obeys its schema", result.returncode == 0,
               result.stdout[-SHOWN:])


def survives(host):
    before = host.machine.must("systemctl show -P MainPID vedette").strip()
    host.runs("the agent is killed", f"kill -KILL {before}")
    host.comes("systemd starts it again", f"systemctl is-active -q vedette && "
               f"[ $(systemctl show -P MainPID vedette) != {before} ]")
    host.runs("it took over what was left", "journalctl -u vedette -o cat",
              says="took over from an agent that was killed")
    host.runs("its doctor has no complaint", "vedette doctor", says=": ok\n")
    host.runs("the findings are still there",
              f"vedette finding list -w {JOB} -o jsonl | wc -l", says="^2\n")
    host.runs("an upgrade to the same package keeps the configuration",
              "echo '# ours' >>/etc/vedette/vedette.yaml; "
              "dpkg -i /root/vedette.deb 2>&1 && grep -q '# ours' /etc/vedette/vedette.yaml",
              seconds=120)
    host.runs("and the agent runs", "systemctl is-active vedette && vedette doctor", says=": ok\n")


def goes(host, files, groups, programs, links):
    running = host.machine.must(LIST_PROGRAMS).split()
    ours = sorted(set(running) - set(programs))
    host.check("its programs can be told from others", len(ours) > 10, running)
    host.runs("the agent is killed for good",
              "systemctl kill -s KILL vedette; systemctl stop vedette; find /sys/fs/bpf -type f",
              says="/sys/fs/bpf/vedette/")
    host.runs("the package is removed", "apt-get remove -qq -y vedette 2>&1", seconds=120)
    host.runs("configuration and store are kept until it is purged",
              "test -e /etc/vedette/vedette.yaml -a -e /var/lib/vedette/vedette.db")
    host.runs("no pin is left", "find /sys/fs/bpf -mindepth 1", says="^$")
    # The kernel frees programs and links after a grace period.
    host.comes("no program is left",
               f"! ({LIST_PROGRAMS}) | grep -qxF -e " + " -e ".join(f"'{name}'" for name in ours))
    host.comes("no link is left", f"[ $({LIST_LINKS}) = {links} ]")
    host.runs("the package is purged", "apt-get purge -qq -y vedette 2>&1", seconds=120)
    left = sorted(path for path in set(host.machine.must(LIST_FILES).splitlines()) - set(files)
                  if not VOLATILE.match(path))
    host.check("no file is left", not left, left)
    host.runs("nor anything in /run", "ls -d /run/vedette* 2>/dev/null", code=2)
    host.check("nor the group", host.machine.must(LIST_GROUPS) == groups, "it is in /etc/group")
    host.runs("nor a unit", "systemctl list-units --all --no-legend 'vedette*'", says="^$")


def test(deb, validator, console):
    image = build_image(depends(deb))
    with tempfile.TemporaryDirectory(prefix="vedette-host.") as folder:
        started = time.monotonic()
        with Machine(make_disk(image, f"{folder}/disk"), console) as machine:
            print(f"     booted in {time.monotonic() - started:.0f} s", flush=True)
            host = Host(machine)
            machine.copy_in({"/root/vedette.deb": deb})
            before = (machine.must(LIST_FILES).splitlines(), machine.must(LIST_GROUPS),
                      machine.must(LIST_PROGRAMS).split(), machine.must(LIST_LINKS).strip())
            install(host)
            if not host.failed:
                group_reads(host)
                finds(host)
                rotates(host)
                obeys_its_schemas(host, validator)
                survives(host)
            if host.failed:
                print(machine.run("journalctl -u vedette -o short --no-pager | tail -n 40").output)
            goes(host, *before)
        print(f"     {time.monotonic() - started:.0f} s in all")
    return host.failed


def main():
    deb = str(Path(sys.argv[1]).resolve())
    validator = sys.argv[2]
    console = (sys.argv[3:] or [f"{Path(sys.argv[1]).parent}/vm_host.console.log"])[0]
    if not Path(deb).exists():
        print(f"host_test.py: {deb} is not there; build it with `ninja -C build/release deb`")
        return 1
    try:
        failed = test(deb, validator, console)
    except MachineError as error:
        print(f"FAIL {error}")
        failed = 1
    if failed:
        print(f"The console is in {console}. To repeat: ninja -C build/release deb && "
              f"{Path(__file__).resolve()} {deb} {validator} {console}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
