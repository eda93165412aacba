#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py counts cases, never loses a failure, and believes no excuse it can check."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import report

JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="Linux-c++">
  <testcase name="a_test" status="run"><system-out>a</system-out></testcase>
  <testcase name="crash_test" status="fail" time="1.5"><failure message=""/>
    <system-out>last words</system-out></testcase>
  <testcase name="tidy" status="run"/>
  <testcase name="gone_test" status="notrun"/>
  <testcase name="script" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>
    <system-out>begin&#x0A;needs BPF LSM</system-out></testcase>
</testsuite>
"""
GTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="S">
  <testcase name="Good" classname="S" status="run" result="completed"/>
  <testcase name="Bad" classname="S" status="run" result="completed">
    <failure message="x.cc:1&#x0A;Expected equality"/></testcase>
  <testcase name="Excused" classname="S" status="run" result="skipped">
    <skipped message="x.cc:9&#x0A;needs BPF LSM&#x0A;"/></testcase>
  <testcase name="DISABLED_Off" classname="S" status="notrun" result="suppressed"/>
</testsuite></testsuites>
"""


class ReportTest(unittest.TestCase):
    def entries(self, junit, gtest=None):
        with tempfile.TemporaryDirectory(prefix="vedette-report.") as directory:
            path = Path(directory)
            (path / "junit.xml").write_text(junit)
            for name, text in (gtest or {}).items():
                (path / f"{name}.xml").write_text(text)
            return list(report.entries(path / "junit.xml", path, "build/dev"))

    def test_binaries_count_by_case_and_the_rest_as_one(self):
        with mock.patch.dict(report.FEATURES, {"BPF LSM": lambda: False}):
            found = self.entries(JUNIT, {"a_test": GTEST})
        self.assertEqual(
            [(result, test) for result, test, *_ in found],
            [
                ("passed", "S.Good"),
                ("failed", "S.Bad"),
                ("skipped", "S.Excused"),
                ("failed", "S.DISABLED_Off"),
                ("failed", "crash_test"),
                ("passed", "tidy"),
                ("failed", "gone_test"),
                ("skipped", "script"),
            ],
        )
        self.assertEqual(found[1][3], "build/dev/a_test --gtest_filter=S.Bad")
        self.assertIn("1.5 s", found[4][2])
        self.assertIn("last words", found[4][2])

    def test_a_crash_after_good_cases_is_a_failure(self):
        good = '<testsuites><testcase name="Good" classname="S" status="run"/></testsuites>'
        junit = '<testsuite><testcase name="a_test" status="fail"/></testsuite>'
        found = self.entries(junit, {"a_test": good})
        self.assertEqual([entry[0] for entry in found], ["passed", "failed"])

    def test_a_skip_needs_a_reason_this_machine_does_not_refute(self):
        with mock.patch.dict(report.FEATURES, {"root": lambda: True, "java": lambda: False}):
            self.assertEqual(report.judge_skip("needs root")[0], "failed")
            self.assertEqual(report.judge_skip("needs probe tcp")[0], "failed")
            self.assertEqual(report.judge_skip("needs java for Kafka")[0], "skipped")
            self.assertEqual(report.judge_skip("not today")[0], "failed")
        with mock.patch.dict(report.FEATURES, {"cgroup2": lambda: True,
                                               "cgroup2 alone": lambda: False}):
            self.assertEqual(report.judge_skip("needs cgroup2 alone: why")[0], "skipped")
            self.assertEqual(report.judge_skip("needs cgroup2")[0], "failed")
            self.assertEqual(report.judge_skip("")[0], "failed")

    def test_the_ledger_keeps_tabs_and_newlines(self):
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as ledger:
            ledger.write(report.row("unit", "failed", "S.Bad", "one\ntwo\\n\tthree", "run it") + "\n")
            ledger.flush()
            rows = report.read_ledger(ledger.name)
        self.assertEqual(rows, [["unit", "failed", "S.Bad", "one\ntwo\\n three", "run it"]])

    def test_the_last_line_holds_the_counts(self):
        rows = [
            ["unit", "passed", "a", "", ""],
            ["unit", "failed", "b", "why", "run it"],
            ["vm", "skipped", "c", "needs qemu", ""],
        ]
        lines, code = report.summary(rows)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 1 skipped")
        self.assertEqual(code, 1)
        self.assertIn("      repeat: run it", lines)
        self.assertIn("      needs qemu", lines)
        self.assertEqual(report.summary(rows[:1])[1], 0)
        self.assertEqual(report.summary([])[1], 1)

    def test_a_tier_without_results_has_failed(self):
        with mock.patch("builtins.print") as printed:
            report.main(["tier", "unit", "/nonexistent/junit.xml", "/nonexistent", "build/dev"])
        self.assertIn("\tfailed\t", printed.call_args.args[0])
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as junit:
            junit.write("<testsuite/>")
            junit.flush()
            with mock.patch("builtins.print") as printed:
                report.main(["tier", "unit", junit.name, "/nonexistent", "build/dev"])
        self.assertIn("\tfailed\t", printed.call_args.args[0])


if __name__ == "__main__":
    unittest.main()
