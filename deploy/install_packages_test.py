#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""install-packages.sh with stand-ins for dpkg-query, apt-get, sudo and id in its PATH."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEBIAN = "ID=debian\nVERSION_ID=12\n"
MISSING = "kcat"


class InstallPackagesTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="vedette-packages.")
        self.addCleanup(self.directory.cleanup)
        self.bin = Path(self.directory.name) / "bin"
        self.bin.mkdir()
        self.calls = self.bin.parent / "calls"
        self.calls.touch()
        for tool in ["awk", "dirname", "env", "head", "paste", "readlink", "sed", "bash"]:
            self.bin.joinpath(tool).symlink_to(self.find(tool))

    @staticmethod
    def find(tool):
        return next(p for p in (Path("/usr/bin") / tool, Path("/bin") / tool) if p.exists())

    def stand_in(self, name, script):
        path = self.bin / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.calls}"\n{script}\n')
        path.chmod(0o755)

    def run_script(self, *purposes, missing=(MISSING,), uid=0, os_release=DEBIAN, apt_exit=0):
        names = "|".join(missing) or "none-of-them"
        self.stand_in(
            "dpkg-query", f'case "${{@: -1}}" in {names}) exit 1 ;; esac; echo installed'
        )
        self.stand_in("apt-get", f"exit {apt_exit}")
        self.stand_in("id", f"echo {uid}")
        release = self.bin.parent / "os-release"
        release.write_text(os_release)
        return subprocess.run(
            ["bash", str(HERE / "install-packages.sh"), *purposes],
            env={"PATH": str(self.bin), "OS_RELEASE": str(release), "HOME": os.environ["HOME"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self, *names):
        lines = self.calls.read_text().splitlines()
        return [line for line in lines if line.split()[0] in names]

    def test_nothing_missing_does_nothing(self):
        result = self.run_script("build", "test", missing=(), os_release="ID=fedora\n", uid=1000)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(self.called("apt-get", "sudo"), [])

    def test_installs_what_is_missing_and_only_that(self):
        result = self.run_script("build", "test")
        self.assertEqual(result.returncode, 0, result.stderr)
        update, install = self.called("apt-get")
        self.assertTrue(update.endswith("update"), update)
        self.assertTrue(install.endswith(f"install -y --no-install-recommends {MISSING}"), install)

    def test_a_purpose_that_is_not_asked_for_is_left_alone(self):
        self.assertEqual(self.run_script("build").returncode, 0)
        self.assertEqual(self.called("apt-get"), [])

    def test_another_user_goes_through_sudo(self):
        self.stand_in("sudo", '"$@"')
        self.assertEqual(self.run_script("test", uid=1000).returncode, 0)
        self.assertEqual(len(self.called("sudo")), 2)
        self.assertEqual(len(self.called("apt-get")), 2)

    def test_no_sudo_says_what_to_run(self):
        result = self.run_script("test", uid=1000)
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"apt-get install --no-install-recommends {MISSING}", result.stderr)
        self.assertEqual(self.called("apt-get"), [])

    def test_another_distribution_gets_one_sentence(self):
        for release in ["ID=fedora\nVERSION_ID=41\n", "ID=debian\nVERSION_ID=13\n", ""]:
            with self.subTest(release):
                result = self.run_script("test", os_release=release)
                self.assertEqual(result.returncode, 3)
                self.assertEqual(len(result.stderr.splitlines()), 1)
                self.assertIn(MISSING, result.stderr)
        self.assertEqual(self.called("apt-get"), [])

    def test_apt_that_fails_is_not_success(self):
        result = self.run_script("test", apt_exit=100)
        self.assertEqual(result.returncode, 3)
        self.assertIn(MISSING, result.stderr)

    def test_an_unknown_purpose_names_the_known(self):
        result = self.run_script("dance")
        self.assertEqual(result.returncode, 2)
        self.assertIn("build test", result.stderr)


if __name__ == "__main__":
    unittest.main()
