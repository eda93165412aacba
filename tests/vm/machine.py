#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian 12 with systemd in an emulated machine: boot a disk, run commands, move files.

  machine.py [-p PACKAGE]... [-i FILE[:PATH]]... [-o PATH]... [-d DISK] [-t SECONDS] -- COMMAND...

boots a fresh copy of the image with those packages (build_image.sh) or DISK, which is made from it
when it is not there and keeps what is written; copies files in, runs the command with bash, copies
PATHs out into the current directory, and ends with the command's exit code. As a module:

  disk = make_disk(build_image(["nginx"]), "host.img")
  with Machine(disk, "console.log") as machine:      # booted, systemd has started everything
      machine.copy_in({"/root/vedette.deb": "build/release/vedette.deb"})
      result = machine.run("apt-get install -y /root/vedette.deb", seconds=120)
      machine.copy_out(["/var/log/vedette"], "collected")
                                                     # shut down; the disk keeps what was written
A second Machine on the same disk is a second boot. The kernel is Debian's own, with what is built
in: no modules. Commands run below vm-serve.service. Needs neither root nor a network nor /dev/kvm;
the processor is emulated, so timings inside mean nothing.
"""

import argparse
import base64
import collections
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BOOT_SECONDS = 180
CONNECT_SECONDS = 30
ANSWER_SECONDS = 30  # Beyond the time that a script has.
SHUTDOWN_SECONDS = 60
MAILBOX_BYTES = 512 * 1024 * 1024  # Sparse; bounds what is copied in or out at once.
MAILBOX = "/dev/nvme0n2"

Result = collections.namedtuple("Result", "code output")


class MachineError(Exception):
    """The machine itself failed: it does not start, answer or end in time."""


def build_image(packages=()):
    """Path of a cached image of Debian 12 with these packages."""
    return output_of([HERE / "build_image.sh", *packages])


def fetch_kernel():
    return output_of([HERE / "fetch_kernel.sh"])


def output_of(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        raise MachineError(f"{command[0]} ended with {done.returncode}")
    return done.stdout.strip()


def make_disk(image, path):
    """A disk to write on. The image stays as it is."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, path], check=True)
    return path


class Machine:
    """One boot of one disk. A context: leaving it shuts it down, and cuts it off after an error."""

    def __init__(self, disk, console, memory_mib=1024, arguments="", kernel=None):
        self.console = Path(console)
        self._work = Path(tempfile.mkdtemp(prefix="vedette-vm."))
        self._mailbox = self._work / "mailbox"
        with open(self._mailbox, "wb") as mailbox:
            mailbox.truncate(MAILBOX_BYTES)
        self._port = None
        self._buffer = b""
        self._requests = 0
        self._qemu = None
        try:
            self._start(str(disk), memory_mib, arguments, kernel or fetch_kernel())
        except BaseException:
            self.cut()
            raise

    def _start(self, disk, memory_mib, arguments, kernel):
        port = self._work / "port"
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", str(memory_mib), "-nic", "none", "-display", "none", "-no-reboot",
            "-kernel", kernel, "-append",
            "console=ttyS0 panic=-1 root=/dev/nvme0n1 rw systemd.show_status=0 quiet "
            f"lsm=lockdown,capability,landlock,bpf {arguments}",
            # Both disks behind one controller: their names do not depend on which is found first.
            "-device", "nvme,id=nvme,serial=vedette",
            "-drive", f"file={disk},if=none,id=disk,format=raw,cache=writeback",
            "-device", "nvme-ns,drive=disk,bus=nvme,nsid=1",
            "-drive", f"file={self._mailbox},if=none,id=mailbox,format=raw,cache=writeback",
            "-device", "nvme-ns,drive=mailbox,bus=nvme,nsid=2",
            "-serial", f"file:{self.console}", "-serial", f"unix:{port}",
        ]
        # QEMU connects before the machine starts, so nothing that the machine says is lost.
        with socket.socket(socket.AF_UNIX) as listener, open(self._work / "qemu", "wb") as log:
            listener.bind(str(port))
            listener.listen(1)
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=subprocess.STDOUT)
            self._port = self._accept(listener)
        deadline = time.monotonic() + BOOT_SECONDS
        while self._line(deadline) != b"ready":
            pass

    def _accept(self, listener):
        listener.settimeout(1)
        for _ in range(CONNECT_SECONDS):
            try:
                return listener.accept()[0]
            except TimeoutError:
                if self._qemu.poll() is not None:
                    break
        raise MachineError("QEMU: " + (self._work / "qemu").read_text(errors="replace"))

    def _line(self, deadline):
        while b"\n" not in self._buffer:
            self._port.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                received = self._port.recv(65536)
            except TimeoutError as error:
                raise self._error("it did not answer in time") from error
            if not received:
                raise self._error("it stopped")
            self._buffer += received
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.strip()

    def _error(self, what):
        try:
            tail = "\n".join(self.console.read_text(errors="replace").splitlines()[-30:])
        except OSError:
            tail = ""
        return MachineError(f"the machine: {what}; the last lines of {self.console}:\n{tail}")

    def _send(self, script, seconds):
        self._requests += 1
        encoded = base64.b64encode(script.encode())
        self._port.settimeout(seconds)
        self._port.sendall(b"%d %d %s\n" % (self._requests, seconds, encoded))

    def run(self, script, seconds=60):
        """Runs a bash script as root. 124 is the exit code of one that took too long."""
        self._send(script, seconds)
        deadline = time.monotonic() + seconds + ANSWER_SECONDS
        while True:
            words = self._line(deadline).split(b" ")
            if words[0] == b"%d" % self._requests:
                output = base64.b64decode(words[2]) if len(words) > 2 else b""
                return Result(int(words[1]), output.decode(errors="replace"))

    def must(self, script, seconds=60):
        """The output of a script that has to succeed."""
        result = self.run(script, seconds)
        if result.code != 0:
            raise MachineError(f"{script}: exit code {result.code}: {result.output}")
        return result.output

    def copy_in(self, files):
        """`files`: path inside to file or folder outside."""
        with tarfile.open(self._mailbox, "w") as tar:
            for inside, outside in files.items():
                tar.add(outside, arcname=inside.lstrip("/"), filter=owned_by_root)
        os.truncate(self._mailbox, MAILBOX_BYTES)
        self.must(f"blockdev --flushbufs {MAILBOX} && tar -C / -xf {MAILBOX}", 120)

    def copy_out(self, paths, folder):
        """Files and folders from inside, below `folder` with their whole path."""
        names = " ".join(shlex.quote(path.lstrip("/")) for path in paths)
        self.must(f"tar -C / -cf {MAILBOX} {names} && sync && blockdev --flushbufs {MAILBOX}", 120)
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", str(folder), "--no-same-owner", "-xf", str(self._mailbox)],
                       check=True)

    def shut_down(self):
        """As `systemctl poweroff`: services are stopped, the disk is whole."""
        try:
            # The machine may be down before its answer has come.
            self._send("systemctl --no-block poweroff", SHUTDOWN_SECONDS)
            self._qemu.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise self._error("it did not shut down in time") from error
        finally:
            self.cut()

    def cut(self):
        """Takes the power away."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
        if self._port is not None:
            self._port.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.shut_down()
        else:
            self.cut()


def owned_by_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    parser.add_argument("-p", action="append", default=[], dest="packages")
    parser.add_argument("-i", action="append", default=[], dest="files")
    parser.add_argument("-o", action="append", default=[], dest="collect")
    parser.add_argument("-d", dest="disk")
    parser.add_argument("-t", type=int, default=300, dest="seconds")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vedette-vm.") as folder:
        disk = asked.disk or f"{folder}/disk"
        if not os.path.exists(disk):
            make_disk(build_image(asked.packages), disk)
        with Machine(disk, f"{folder}/console") as machine:
            pairs = [name.split(":", 1) for name in asked.files]
            if pairs:
                machine.copy_in({(pair[1:] or ["/root/" + os.path.basename(pair[0])])[0]: pair[0]
                                 for pair in pairs})
            script = asked.command[0] if len(asked.command) == 1 else shlex.join(asked.command)
            result = machine.run(script, asked.seconds)
            print(result.output, end="")
            if asked.collect:
                machine.copy_out(asked.collect, ".")
    return result.code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MachineError as error:
        print(f"machine.py: {error}", file=sys.stderr)
        sys.exit(3)
