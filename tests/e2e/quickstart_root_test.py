#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./quickstart and ./quickstart --demo, in a copy of what they need, with a binary that is built:
quickstart_root_test.py VEDETTE. Needs root. Looks at what is shown, how soon, the exit code, and
that nothing is left."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PINS = Path("/sys/fs/bpf")
SKIP = 77
SHOWN_WITHIN = 5.0  # Seconds, with the build done, on a machine that has a processor to spare.
SHOWN_AT_ALL = 20.0  # On one that has none.
DEMO_WITHIN = 120.0  # After the build.
PATIENCE = 90.0


def cgroups(name):
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    roots = [line.split()[4] for line in mounts.splitlines() if " - cgroup2 " in line]
    return [root for root in roots if os.path.isdir(os.path.join(root, name))]


class Shown:
    """A command in a session of its own, on a terminal or with a pipe."""

    def __init__(self, command, environment, terminal):
        self.text = ""
        self.started = time.monotonic()
        self.end, inner = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=inner,
                                        stderr=inner, env=environment, start_new_session=True)
        os.close(inner)

    def read_until(self, pattern, bound):
        """Seconds from the start until the pattern was there; None if it never was."""
        deadline = self.started + bound
        while not re.search(pattern, self.text, re.MULTILINE):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.end], [], [], left)[0]:
                return None
            try:
                more = os.read(self.end, 65536)
            except OSError:  # A terminal that nobody has open any more.
                more = b""
            if not more:
                return None
            self.text += more.decode(errors="replace").replace("\r\n", "\n")
        return time.monotonic() - self.started

    def interrupt(self):
        """What Ctrl-C does: the signal goes to all processes of the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self):
        self.read_until(r"\A\Z.", PATIENCE)  # To its end.
        return self.process.wait(timeout=PATIENCE)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=PATIENCE)
        if self.end >= 0:
            os.close(self.end)
        self.end = -1


class QuickstartTest(unittest.TestCase):
    binary = ""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="vedette-quickstart.")
        self.addCleanup(directory.cleanup)
        self.checkout = Path(directory.name) / "checkout"
        self.temporary = Path(directory.name) / "tmp"
        self.temporary.mkdir()
        (self.checkout / "deploy").mkdir(parents=True)
        shutil.copy(SOURCE / "quickstart", self.checkout)
        shutil.copytree(SOURCE / "deploy/demo", self.checkout / "deploy/demo")
        self.pins_before = set(PINS.glob("vedette-quickstart-*"))

    def start(self, *arguments, terminal=False):
        shown = Shown([self.checkout / "quickstart", "--binary", self.binary, *arguments],
                      {**os.environ, "TMPDIR": str(self.temporary), "TERM": "xterm"}, terminal)
        self.addCleanup(shown.close)
        return shown

    def assert_nothing_is_left(self):
        self.assertEqual(list(self.temporary.iterdir()), [])
        here = sorted(path.name for path in self.checkout.iterdir())
        self.assertEqual(here, ["build", "deploy", "quickstart"])
        # Another checkout's may be there.
        self.assertEqual(set(PINS.glob("vedette-quickstart-*")) - self.pins_before, set())
        self.assertEqual(cgroups("vedette-demo"), [])
        ours = str(self.checkout)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            self.assertNotIn(ours, command.replace("\0", " "))

    def assert_the_readme_shows(self, text):
        """Each line of the README's sample, but for numbers and what stands for … there."""
        readme = (SOURCE / "README.md").read_text()
        sample = readme.split("What the demo shows")[1].split("```")[1]
        text = " ".join(text.split())
        for line in sample.strip().splitlines():
            if not line.strip() or "started by /usr/bin/bash" in line:  # Who started the test.
                continue
            pattern = re.escape(" ".join(line.split())).replace("…", r"\S*")
            pattern = re.sub(r"/usr/bin/python[^ ]*", r"\\S*/python\\S*", pattern)
            pattern = re.sub(r"\d+", r"\\d+", pattern)
            self.assertRegex(text, pattern)

    def test_it_shows_the_services_until_interrupted(self):
        for terminal in (False, True):
            with self.subTest(terminal=terminal):
                busy = os.getloadavg()[0] > os.cpu_count()
                bound = SHOWN_AT_ALL if busy else SHOWN_WITHIN
                shown = self.start(terminal=terminal)
                seconds = shown.read_until(r"^\S*WORKLOAD\S* .*\n(.*\n)*?\S*host/", bound)
                if seconds is None:
                    shown.close()
                self.assertIsNotNone(seconds, shown.text)
                self.assertRegex(shown.text, r"vedette \S+ on .*: \S*(ok|degraded)")
                self.assertTrue(any(PINS.glob("vedette-quickstart-*")))
                told = re.search(r"^  VEDETTE_SOCKET=(\S+) (\S+) finding list$", shown.text, re.MULTILINE)
                self.assertIsNotNone(told, shown.text)
                asked = subprocess.run([told[2], "finding", "list"], capture_output=True, text=True,
                                       env={**os.environ, "VEDETTE_SOCKET": told[1]}, check=False)
                self.assertEqual((asked.returncode, asked.stderr), (0, ""))
                shown.interrupt()
                self.assertEqual(shown.finish(), 0, shown.text)
                self.assertNotIn("vedette: ", shown.text)  # No error was told.
                self.assert_nothing_is_left()

    def test_the_demo_finds_the_deviation(self):
        shown = self.start("--demo")
        self.assertEqual(shown.finish(), 0, shown.text)
        self.assertLess(time.monotonic() - shown.started, DEMO_WITHIN)
        self.assertIn("and a restart: 0 findings", shown.text)
        self.assertRegex(shown.text, r"New program in host/vedette-demo: \S+/intruder")
        self.assertRegex(shown.text, r"started by /usr/bin/dash \[\d+\]\n +started by \S*python")
        self.assert_the_readme_shows(shown.text)
        self.assert_nothing_is_left()

    def test_without_a_deviation_the_demo_fails(self):
        demo = self.checkout / "deploy/demo"
        service = (demo / "service.py").read_text()
        mended = service.replace('f"TZ={zone} date"', '"TZ=\\"$1\\" date", "sh", zone')
        self.assertNotEqual(mended, service)
        (demo / "service.py").write_text(mended)
        shorter = (demo / "demo.py").read_text()
        for name, seconds in (("LEARN", 2), ("CALM", 1), ("PATIENCE", 8)):
            shorter, found = re.subn(rf"^{name}_SECONDS = \d+$", f"{name}_SECONDS = {seconds}",
                                     shorter, flags=re.MULTILINE)
            self.assertEqual(found, 1)
        (demo / "demo.py").write_text(shorter)
        shown = self.start("--demo")
        self.assertEqual(shown.finish(), 1, shown.text)
        self.assertIn("in vain until the intruder's program is found", shown.text)
        self.assertNotIn("The deviation was found", shown.text)
        self.assert_nothing_is_left()

    def test_wrong_usage_starts_nothing(self):
        for arguments in (["--domo"], ["--binary", "/nonexistent"], ["--binary"]):
            shown = self.start(*arguments)
            self.assertEqual(shown.finish(), 2, shown.text)
            self.assertIn("quickstart: ", shown.text)
        self.assertFalse((self.checkout / "build").exists())


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("needs root")
        sys.exit(SKIP)
    QuickstartTest.binary = sys.argv.pop(1)
    unittest.main(verbosity=2)
