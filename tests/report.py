#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the results of one tier into counts and a list, for run-tests.

  report.py tier NAME JUNIT GTEST_DIR BUILD_DIR   reads what ctest wrote; lines to the ledger on stdout
  report.py check NAME passed|failed|skipped [DETAIL]   one line of the ledger
  report.py summary LEDGER                        prints all, the last line being the counts

The ledger is tab-separated: tier, result, test, detail, command that repeats it. A GoogleTest binary
counts by its cases, anything else as one. A skip has to name what it needs ("needs root"); where
this machine has that, or the reason names nothing known, the skip counts as a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def has_cgroup2():
    return " - cgroup2 " in Path("/proc/self/mountinfo").read_text(errors="replace")


def has_cgroup2_alone():
    """Without v1 hierarchies beside it, which crun refuses to work with."""
    mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
    return " - cgroup2 " in mounts and " - cgroup " not in mounts


def has_security_module(name):
    path = Path("/sys/kernel/security/lsm")
    return path.exists() and name in path.read_text().strip().split(",")


def has_io_uring():
    """0: for all; 1: for those with a privilege, as root has it; 2: for nobody."""
    path = Path("/proc/sys/kernel/io_uring_disabled")
    return path.exists() and path.read_text().strip() != "2"


def has_kernel_type(name):
    path = Path("/sys/kernel/btf/vmlinux")
    return path.exists() and b"\0" + name.encode() + b"\0" in path.read_bytes()


# What a skip may name after "needs ". A test of the machine, not of the test.
FEATURES = {
    "root": lambda: os.geteuid() == 0,
    "BTF": lambda: Path("/sys/kernel/btf/vmlinux").exists(),
    "cgroup2 alone": has_cgroup2_alone,
    "cgroup2": has_cgroup2,
    "fuse": lambda: os.access("/dev/fuse", os.R_OK | os.W_OK),
    "runc": lambda: shutil.which("runc") is not None,
    "crun": lambda: shutil.which("crun") is not None,
    "podman": lambda: shutil.which("podman") is not None,
    "qemu": lambda: shutil.which("qemu-system-x86_64") is not None,
    "io_uring": has_io_uring,
    "cap_capable": lambda: has_kernel_type("btf_trace_cap_capable"),
    # The programs of a probe: only kernels of the matrix may refuse one.
    "probe": lambda: True,
    "loop": lambda: Path("/dev/loop-control").exists(),
    "java": lambda: shutil.which("java") is not None,
    "BPF LSM": lambda: has_security_module("bpf"),
}


def judge_skip(reason):
    """A skip this machine has no excuse for is a failure. Returns (result, detail)."""
    match = re.search(r"needs (" + "|".join(FEATURES) + r")\b", reason)
    if not match:
        return "failed", f"skipped without naming what it needs: {reason or 'no reason'}"
    if FEATURES[match.group(1)]():
        return "failed", f"skipped, but this machine has {match.group(1)}: {reason}"
    return "skipped", reason


def first_lines(text, count=12):
    lines = [line for line in (text or "").strip().splitlines() if line.strip()]
    return "\n".join(lines[:count])


def gtest_cases(xml, binary):
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        repeat = f"{binary} --gtest_filter={name}"
        failures = [first_lines(failure.get("message")) for failure in case.iter("failure")]
        skipped = case.find("skipped")
        if case.get("status") == "notrun":
            yield "failed", name, "disabled: mend it or remove it", repeat
        elif failures:
            yield "failed", name, "\n".join(failures), repeat
        elif skipped is not None:
            # "file:line\nreason"
            reason = " ".join((skipped.get("message") or "").split("\n")[1:]).strip()
            yield *_named(judge_skip(reason), name), repeat
        else:
            yield "passed", name, "", repeat


def _named(judged, name):
    result, detail = judged
    return result, name, detail


def entries(junit, gtest_dir, build_dir):
    """Yields (result, test, detail, repeat) for all that ctest ran."""
    for entry in ElementTree.parse(junit).getroot().iter("testcase"):
        name = entry.get("name")
        status = entry.get("status")
        output = entry.findtext("system-out") or ""
        repeat = f"ctest --test-dir {build_dir} -R '^{re.escape(name)}$' --output-on-failure"
        xml = Path(gtest_dir) / f"{name}.xml"
        cases = list(gtest_cases(xml, f"{build_dir}/{name}")) if xml.exists() else []
        yield from cases
        # A crash, a leak or a time-out is not in the binary's own list.
        if status == "fail" and not any(case[0] == "failed" for case in cases):
            tail = "\n".join(output.strip().splitlines()[-25:])
            seconds = float(entry.get("time") or 0)
            yield "failed", name, f"failed after {seconds:.1f} s\n{tail}".strip(), repeat
        elif entry.find("skipped") is not None and output.strip():
            # SKIP_RETURN_CODE: the last line of a script says what it needs.
            yield *_named(judge_skip(output.strip().splitlines()[-1]), name), repeat
        elif status in ("notrun", "disabled"):
            yield "failed", name, "ctest did not run it", repeat
        elif not cases and status == "run":
            yield "passed", name, "", repeat


def escape(text):
    return text.replace("\\", "\\\\").replace("\t", " ").replace("\n", "\\n")


def row(*fields):
    return "\t".join(escape(field) for field in fields)


def read_ledger(path):
    rows = []
    for line in Path(path).read_text(errors="replace").splitlines():
        fields = [
            re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), field)
            for field in line.split("\t")
        ]
        rows.append((fields + [""] * 5)[:5])
    return rows


def summary(rows):
    lines = []
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    tiers = {}
    for tier, result, *_ in rows:
        counts[result] += 1
        tiers.setdefault(tier, {"passed": 0, "failed": 0, "skipped": 0})[result] += 1
    for result, title in [("failed", "Failed:"), ("skipped", "Skipped, and why:")]:
        chosen = [r for r in rows if r[1] == result]
        if chosen:
            lines.append(title)
        for tier, _, test, detail, repeat in chosen:
            lines.append(f"  {tier}: {test}")
            lines += [f"      {line}" for line in detail.splitlines()]
            if repeat and result == "failed":
                lines.append(f"      repeat: {repeat}")
    lines.append("Ran:")
    for tier, of_tier in tiers.items():
        counted = ", ".join(f"{n} {what}" for what, n in of_tier.items() if n or what != "skipped")
        lines.append(f"  {tier:<10} {counted}")
    if not rows:
        lines.append("  nothing")
    lines.append("")
    lines.append(", ".join(f"{n} {what}" for what, n in counts.items()))
    return lines, 1 if counts["failed"] or not counts["passed"] else 0


def main(arguments):
    command, rest = (arguments or ["help"])[0], arguments[1:]
    if command == "tier" and len(rest) == 4:
        tier, junit, gtest_dir, build_dir = rest
        try:
            found = list(entries(junit, gtest_dir, build_dir))
            if not found:
                found = [("failed", "results", "no test carries the label of this tier", "")]
            for result, test, detail, repeat in found:
                print(row(tier, result, test, detail, repeat))
        except (OSError, ElementTree.ParseError) as error:
            print(row(tier, "failed", "results", f"ctest left no readable results: {error}", ""))
        return 0
    if command == "check" and 2 <= len(rest) <= 5 and rest[1] in ("passed", "failed", "skipped"):
        tier, result, *more = rest
        print(row(tier, result, *more))
        return 0
    if command == "summary" and len(rest) == 1:
        lines, code = summary(read_ledger(rest[0]))
        print("\n".join(lines))
        return code
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
