#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is installed beside the binary: the unit and the logrotate file, judged by their own tools,
and the install rules, tried in folders of their own with a stand-in for the binary."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent
SOURCE = DEPLOY.parent
MAX_EXPOSURE = 4.1  # Of 10, by `systemd-analyze security`; a unit without hardening has 9.6.
CONFIG = "etc/vedette/vedette.yaml"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)


class DeployTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="vedette-deploy.")
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def install(self, prefix, destdir=""):
        """The script of `cmake --install`, without the binary that the build adds."""
        work = self.root / "build"
        work.mkdir(exist_ok=True)
        result = run("cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", f"-DVEDETTE_SOURCE_DIR={SOURCE}",
                     f"-DVEDETTE_BINARY_DIR={work}", f"-DVEDETTE_BINDIR={prefix}/bin",
                     "-P", SOURCE / "cmake/install_files.cmake",
                     env={**os.environ, "DESTDIR": str(destdir)})
        self.assertEqual(result.returncode, 0, result.stdout)

    def unit(self):
        """The unit as it is installed, with a binary that is there."""
        prefix = self.root / "prefix"
        self.install(prefix)
        binary = prefix / "bin/vedette"
        binary.parent.mkdir(parents=True)
        shutil.copy("/bin/true", binary)
        return prefix / "lib/systemd/system/vedette.service"

    def test_systemd_verifies_the_unit(self):
        result = run("systemd-analyze", "verify", "--man=no", self.unit())
        # Other units of this machine are loaded too; what they lack is not ours.
        ours = [line for line in result.stdout.splitlines() if "vedette" in line]
        self.assertEqual(ours, [])
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_a_failing_agent_is_started_again_without_end(self):
        lines = self.unit().read_text().splitlines()
        self.assertIn("Restart=on-failure", lines)
        self.assertIn("StartLimitIntervalSec=0", lines)
        self.assertIn("RestartPreventExitStatus=1 2", lines)
        seconds = next(line.split("=")[1] for line in lines if line.startswith("RestartSec="))
        self.assertIn(f"every {seconds} s for as long as it fails",
                      (SOURCE / "docs/install.md").read_text())

    def test_a_wrong_unit_is_noticed(self):
        unit = self.unit()
        unit.write_text(unit.read_text().replace("ProtectSystem=", "ProtectSystm="))
        result = run("systemd-analyze", "verify", "--man=no", unit)
        self.assertIn("ProtectSystm", result.stdout)

    def test_the_unit_is_exposed_no_more_than_it_has_to_be(self):
        result = run("systemd-analyze", "security", "--offline=true", "--no-pager",
                     f"--threshold={MAX_EXPOSURE * 10:.0f}", self.unit())
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertRegex(result.stdout, r"Overall exposure level for vedette\.service: \d\.\d")

    def test_the_unit_has_exactly_the_capabilities_it_names_a_reason_for(self):
        text = (DEPLOY / "systemd/vedette.service.in").read_text()
        bounding = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE).group(1)
        reasons = re.findall(r"^#   ([A-Z_, ]+?)  +\S", text, re.MULTILINE)
        named = {f"CAP_{name.strip()}" for reason in reasons for name in reason.split(",")}
        self.assertEqual(set(bounding.split()), named)

    def test_nothing_in_the_unit_takes_openat2_away(self):
        text = (DEPLOY / "systemd/vedette.service.in").read_text()
        self.assertIsNone(re.search(r"^RestrictSUIDSGID=", text, re.MULTILINE))

    def test_logrotate_understands_its_file(self):
        logs = self.root / "logs"
        logs.mkdir(mode=0o755)
        (logs / "findings.jsonl").write_text("{}\n")
        config = self.root / "vedette"
        text = (DEPLOY / "vedette.logrotate").read_text()
        config.write_text(text.replace("/var/log/vedette", str(logs)))
        config.chmod(0o644)
        result = run("logrotate", "-d", "-f", "-s", self.root / "state", config,
                     env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertNotIn("error:", result.stdout)
        self.assertIn("--signal=HUP vedette.service", result.stdout)

    def test_destdir_and_the_prefix_of_a_distribution(self):
        stage = self.root / "stage"
        self.install("/usr", stage)
        self.assertTrue((stage / CONFIG).is_file())
        self.assertTrue((stage / "etc/logrotate.d/vedette").is_file())
        unit = (stage / "usr/lib/systemd/system/vedette.service").read_text()
        self.assertIn("ExecStart=/usr/bin/vedette run --config /etc/vedette/vedette.yaml\n", unit)
        self.assertNotIn("@VEDETTE", unit)
        for path in ["share/doc/vedette/copyright", "share/doc/vedette/LICENSES/GPL-2.0-only.txt",
                     "share/doc/vedette/docs/configuration.md", "lib/sysusers.d/vedette.conf"]:
            self.assertTrue((stage / "usr" / path).is_file(), path)
        self.assertTrue(list((stage / "usr/share/man/man8").glob("vedette.8*")))

    def test_another_prefix_keeps_all_below_itself(self):
        prefix = self.root / "opt"
        self.install(prefix)
        self.assertIn(f"--config {prefix}/{CONFIG}\n",
                      (prefix / "lib/systemd/system/vedette.service").read_text())
        self.assertTrue((prefix / CONFIG).is_file())

    def test_a_configuration_that_somebody_wrote_is_kept(self):
        prefix = self.root / "opt"
        (prefix / CONFIG).parent.mkdir(parents=True)
        (prefix / CONFIG).write_text("# ours\n")
        self.install(prefix)
        self.assertEqual((prefix / CONFIG).read_text(), "# ours\n")

    def test_the_package_lists_all_its_configuration(self):
        stage = self.root / "stage"
        self.install("/usr", stage)
        installed = {"/" + str(path.relative_to(stage)) for path in (stage / "etc").rglob("*")
                     if path.is_file()}
        self.assertEqual(set((DEPLOY / "debian/conffiles").read_text().split()), installed)

    def test_the_scripts_of_the_package_are_shell(self):
        for name in ["preinst", "postinst", "prerm", "postrm"]:
            result = run("sh", "-n", DEPLOY / "debian" / name)
            self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
