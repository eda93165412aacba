#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The probes on Debian's kernels, each booted in an emulated machine.

  matrix.py BUILD [5.10|6.1|6.12|7]...     boots them (all of them), and compares with docs/kernels.md
  matrix.py BUILD --table                  prints kernel by program and test, as of the last boots

In each: what becomes of every program, what its verification costs, the kernel tests of TESTS, and the
agent itself (smoke_inside.sh). docs/kernels.md is the table of what is expected: a program that is
refused, a test that is skipped and a cost that grows beyond its bound fail unless they are in it, and so
does what is in it and is no longer true. VEDETTE_REGENERATE=1 writes the table anew.
Exit: 0 as expected, 1 not, 3 could not boot.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
DOC = REPOSITORY / "docs/kernels.md"
AGENT = REPOSITORY / "build/release/vedette"
KERNELS = ("5.10", "6.1", "6.12", "7")
BOOT_SECONDS = 540
# The verifier's work depends on the compiler too, so some growth is none.
GROWTH = 1.10
GROWTH_INSTRUCTIONS = 200
GROWTH_STACK = 16

# What each probe is there for: a test of each, since every one loads all programs (8 s).
TESTS = {
    "kernel_cgroup_root_test": "CgroupTest.ACgroupIsToldWhenItIsMadeAndWhenItGoes",
    "kernel_process_root_test": "ProcessTest.ExecTellsWhoRanWhatWhereAndWhen:"
                                "ProcessTest.AChangeOfCredentialsIsSeenAtTheNextLook",
    "kernel_connect_root_test":
        "ConnectTest.AConnectNamesItsProcessAndItsPeerAndThenItsOutcome",
    "kernel_tcp_root_test": "TcpTest.BothEndsOfAFlowCountItsBytesExactly",
    "kernel_tcp_pair_root_test": "TcpPairTest.NoChangeIsLostThatInterruptsAnother:"
                                 "TcpPairTest.TheBodyHasItsVariablesOnTheStackOfWhoRunsIt",
    "kernel_udp_root_test": "UdpTest.BothEndsCountBytesAndPacketsExactly",
    "kernel_privilege_root_test": "PrivilegeTest.ASignalToAProcessOfAnotherWorkloadIsTold",
    "kernel_scan_root_test": "ScanTest.AProcessFromBeforeIsSeenWithItsContext",
    "kernel_files_root_test": "FilesTest.AFileThatIsMadeIsToldAndThenCounted:"
                              "FilesTest.OnlyListedFilesAreToldWhenTheyAreRead:"
                              "FilesTest.EveryWayToOpenIsSeen",
    "kernel_files_lsm_root_test":
        "FilesLsmTest.AnOpenByIoUringIsThatOfTheRingsOwner:"
        "FilesLsmTest.AnExecutionIsNoRead:"
        "FilesLsmTest.WhatOverlayfsOpensBelowIsNotTold:"
        "FilesLsmTest.ManyWhoOpenAtOnceAreEachToldWithTheirOwn:"
        "FilesLsmTest.WhereItCanBeAttachedNoMoreTheSystemCallsTakeItsPlace:"
        "FilesLsmTooLateTest.AHookThatFillsUpBeforeTheAttachIsNoneEither",
    "kernel_observe_root_test": "ObserveAllTest.NoProgramCanDenyAnythingAndNoneSendsASignal",
    "kernel_capability_root_test": "CapabilityTest.TheFirstUseByAWorkloadIsToldAndNoOther",
}
SMOKE = "smoke_inside.sh"


class CannotBoot(Exception):
    """The machine did not come to its end."""


def capture(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        raise CannotBoot(f"{Path(command[0]).name} ended with {done.returncode}")
    return done.stdout.strip()


def files_for(build, kernel, folder):
    """What goes into the machine. Without what only a debugger reads, which is most of it."""
    files = []
    for name in TESTS:
        subprocess.run(["strip", "-g", "-o", f"{folder}/{name}", build / name], check=True)
        files.append(f"{folder}/{name}")
    files += [build / "vedette_load_programs", build / "vedette_actor",
              # Where the tests look for it.
              f"{build / 'vedette_actor'}:{build / 'vedette_actor'}",
              HERE / "matrix_inside.sh", HERE / SMOKE,
              *(f"{Path(kernel).parent.parent}/modules/{name}.ko:/lib/{name}.ko"
                for name in ("dummy", "overlay"))]
    return [*files, AGENT]


def boot(build, series, console):
    kernel = capture([HERE / "fetch_kernel.sh", series])
    with tempfile.TemporaryDirectory(prefix="vedette-matrix.") as folder:
        command = [HERE / "boot.sh", "-t", BOOT_SECONDS, "-l", console, kernel,
                   *files_for(build, kernel, folder), "--", "sh", "/bin/matrix_inside.sh"]
        for name, tests in TESTS.items():
            command += [name, tests]
        return Path(kernel).name.removeprefix("vmlinuz-"), capture(command)


def read_programs(lines, result):
    for line in lines:
        fields = line.split("\t")
        if fields[0] == "feature" and len(fields) == 3:
            result["features"][fields[1]] = fields[2] == "yes"
        elif len(fields) >= 3:
            _, program, what, *rest = fields
            if what == "loaded":
                result["programs"][program] = {"instructions": int(rest[0]), "stack": int(rest[1])}
            else:
                result["programs"][program] = {what: rest[0] if rest else ""}


def read_tests(binary, lines, result):
    said = []
    for line in lines:
        match = re.match(r"\[ +(RUN|OK|SKIPPED|FAILED) +\] (\w+\.\w+)", line)
        if not match:
            said.append(line)
        elif match[1] == "RUN":
            said = []
            # A binary that ends here has crashed in it.
            result["tests"][match[2]] = {"result": "failed", "said": "it did not end"}
        elif result["tests"].get(match[2], {}).get("said") == "it did not end":
            text = "\n".join(part for part in said if part.strip())
            needs = re.search(r"needs (.+)", text)
            result["tests"][match[2]] = {
                "result": {"OK": "passed", "SKIPPED": "skipped", "FAILED": "failed"}[match[1]],
                "said": needs[1] if match[1] == "SKIPPED" and needs else text}
    for name in TESTS[binary].split(":"):
        result["tests"].setdefault(name, {"result": "failed", "said": "\n".join(said[-12:])})


def read_smoke(lines, result):
    failed = [line for line in lines if line.startswith("FAIL")]
    needs = [line for line in lines if line.startswith("SKIP needs ")]
    passed = any(line == "smoke ended with 0" for line in lines)
    result["tests"][SMOKE] = {
        "result": "skipped" if passed and needs else "passed" if passed else "failed",
        "said": needs[0].removeprefix("SKIP needs ") if passed and needs
                else "\n".join(failed or lines[-12:])}
    result["checks"] = [line for line in lines if re.match(r"ok |FAIL", line)]


def read(output):
    result = {"programs": {}, "features": {}, "tests": {}}
    parts = re.split(r"^== (.*)$", output, flags=re.M)
    for title, text in zip(parts[1::2], parts[2::2]):
        lines = text.strip("\n").splitlines()
        if title == "programs":
            read_programs(lines, result)
        elif title.startswith("tests "):
            read_tests(title.removeprefix("tests "), lines, result)
        elif title == "smoke":
            read_smoke(lines, result)
    for name in ":".join(TESTS.values()).split(":"):
        result["tests"].setdefault(name, {"result": "failed", "said": "it was not run"})
    if "end" not in parts[1::2]:
        raise CannotBoot("it did not come to the end of matrix_inside.sh")
    return result


# --- docs/kernels.md ---

def cells(line):
    return [cell.strip().replace("`", "").replace("\\|", "|")
            for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def table_below(text, title):
    """Rows below a heading, without those of the head."""
    part = text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return [cells(line) for line in part.splitlines() if line.startswith("|")][2:]


COST = "What loads, and what it costs the verifier"
REFUSED = "What is refused"
SKIPPED = "What is skipped"
FEATURES = "What else these kernels can do"


def expectations(text):
    """{series: {"cost": {program: (instructions, stack)}, "refused": {program: reason},
    "no-hook": set, "skipped": {test: needs}, "features": {name: whether}}}"""
    wanted = {series: {"cost": {}, "refused": {}, "no-hook": set(), "skipped": {}, "features": {}}
              for series in KERNELS}
    for name, *of_kernels in table_below(text, FEATURES):
        for series, cell in zip(KERNELS, of_kernels):
            wanted[series]["features"][name] = cell == "yes"
    for program, *of_kernels in table_below(text, COST):
        for series, cell in zip(KERNELS, of_kernels):
            if cell == "no hook":
                wanted[series]["no-hook"].add(program)
            elif match := re.fullmatch(r"(\d+), (\d+)", cell):
                wanted[series]["cost"][program] = (int(match[1]), int(match[2]))
    for series, reason, programs in table_below(text, REFUSED):
        for program in programs.split(", "):
            wanted[series]["refused"][program] = reason
    for series, test, needs in table_below(text, SKIPPED):
        wanted[series]["skipped"][test] = needs
    return wanted


def rows(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(line) + " |" for line in lines])


def code(text):
    return "`" + text.replace("|", "\\|") + "`"


def regenerate(results, text):
    """The tables anew; what was not booted stays as it is."""
    wanted = expectations(text)
    for series, result in results.items():
        programs = result["programs"]
        wanted[series] = {
            "cost": {name: (of["instructions"], of["stack"]) for name, of in programs.items()
                     if "instructions" in of},
            "refused": {name: of["refused"] for name, of in programs.items() if "refused" in of},
            "no-hook": {name for name, of in programs.items() if "no-hook" in of},
            "skipped": {name: of["said"] for name, of in result["tests"].items()
                        if of["result"] == "skipped"},
            "features": result["features"]}

    def cell(series, program):
        of = wanted[series]
        return (", ".join(map(str, of["cost"][program])) if program in of["cost"] else
                "no hook" if program in of["no-hook"] else
                "refused" if program in of["refused"] else "")

    names = sorted({name for of in wanted.values() for key in ("cost", "refused", "no-hook")
                    for name in of[key]})
    refused = []
    for series in KERNELS:
        reasons = {}
        for program, reason in sorted(wanted[series]["refused"].items()):
            reasons.setdefault(reason, []).append(code(program))
        refused += [[series, code(reason), ", ".join(programs)]
                    for reason, programs in reasons.items()]
    features = sorted({name for of in wanted.values() for name in of["features"]})
    tables = {
        FEATURES: rows(["feature", *KERNELS],
                       [[name, *("yes" if wanted[series]["features"].get(name) else "-"
                                 for series in KERNELS)] for name in features]),
        COST: rows(["program", *KERNELS],
                   [[code(name), *(cell(series, name) for series in KERNELS)] for name in names]),
        REFUSED: rows(["kernel", "in its words", "programs"], refused),
        SKIPPED: rows(["kernel", "test", "needs"],
                      [[series, code(test), needs] for series in KERNELS
                       for test, needs in sorted(wanted[series]["skipped"].items())])}
    for title, table in tables.items():
        text = re.sub(rf"(?s)(## {re.escape(title)}\n.*?)(^\|.*?)(?=\n\n|\n?\Z)",
                      lambda match, table=table: match[1] + table, text, count=1, flags=re.M)
    return text


# --- comparing ---

def differences_of_program(name, got, wanted):
    if "refused" in got:
        expected = wanted["refused"].get(name)
        if expected != got["refused"]:
            yield (f"{name} is refused: {got['refused']}" +
                   (f"; expected: {expected}" if expected else "; it loaded before"))
    elif "no-hook" in got:
        if name not in wanted["no-hook"]:
            yield f"{name} has nothing to attach to; it had before"
    elif name not in wanted["cost"]:
        yield f"{name} loads, which docs/kernels.md does not know"
    else:
        instructions, stack = wanted["cost"][name]
        if got["instructions"] > instructions * GROWTH + GROWTH_INSTRUCTIONS:
            yield (f"{name} costs the verifier {got['instructions']} instructions, {instructions} "
                   "before")
        if got["stack"] > stack + GROWTH_STACK:
            yield f"{name} takes {got['stack']} bytes of stack, {stack} before"


def differences(result, wanted):
    for name, there in result["features"].items():
        if there != wanted["features"].get(name):
            yield f"{name}: {'it is there' if there else 'it is not there'}, unlike before"
    for name, got in result["programs"].items():
        yield from differences_of_program(name, got, wanted)
    for name in sorted({*wanted["cost"], *wanted["refused"], *wanted["no-hook"]} -
                       set(result["programs"])):
        yield f"{name} is not there, and docs/kernels.md has it"
    for name, got in result["tests"].items():
        needs = wanted["skipped"].get(name)
        if got["result"] == "failed":
            yield f"{name} failed:\n    " + got["said"].replace("\n", "\n    ")
        elif got["result"] == "skipped" and needs != got["said"]:
            yield f"{name} was skipped: it needs {got['said']}"
        elif got["result"] == "passed" and needs is not None:
            yield f"{name} ran, and docs/kernels.md says that it is skipped"


# --- showing ---

def columns(result):
    """{row: cell} of one kernel."""
    shown = {}
    for name, there in result["features"].items():
        shown[name] = "yes" if there else "-"
    for name, of in sorted(result["programs"].items()):
        shown[name] = (f"{of['instructions']}, {of['stack']}" if "instructions" in of else
                       "no hook" if "no-hook" in of else "refused")
    for name, of in result["tests"].items():
        shown[name] = of["result"]
    return shown


def table(build):
    of_kernels = {}
    for series in KERNELS:
        path = build / f"vm_kernel_{series}.json"
        if path.exists():
            of_kernels[series] = columns(json.loads(path.read_text()))
    if not of_kernels:
        return "no kernel has been booted yet"
    names = list(dict.fromkeys(name for shown in of_kernels.values() for name in shown))
    width = max(map(len, names))
    lines = [" " * width + "".join(f"  {series:>12}" for series in of_kernels)]
    for name in names:
        lines.append(f"{name:<{width}}" +
                     "".join(f"  {shown.get(name, ''):>12}" for shown in of_kernels.values()))
    return "\n".join(lines)


def run(build, series, wanted):
    """One kernel. Returns the exit code."""
    console = build / f"vm_kernel_{series}.console.log"
    repeat = f"to repeat: {Path(__file__).resolve()} {build} {series}; the console is {console}"
    started = time.monotonic()
    try:
        release, output = boot(build, series, console)
        result = read(output)
    except CannotBoot as error:
        print(f"FAIL {series}: {error}\n{repeat}", flush=True)
        return 3
    result["kernel"] = release
    (build / f"vm_kernel_{series}.json").write_text(json.dumps(result, indent=1))
    found = [] if wanted is None else list(differences(result, wanted[series]))
    for line in result["checks"]:
        print(f"  {line}")
    for name, of in result["tests"].items():
        print(f"  {of['result']:<8} {name}" + (f": {of['said']}" if of["result"] == "skipped" else ""))
    loaded = sum("instructions" in of for of in result["programs"].values())
    print(f"{'FAIL' if found else 'ok  '} {release}: {loaded} of {len(result['programs'])} programs "
          f"load; {time.monotonic() - started:.0f} s")
    for line in found:
        print(f"FAIL {series}: {line}")
    if found:
        print("what is meant is written down with VEDETTE_REGENERATE=1;", repeat)
    sys.stdout.flush()
    return 1 if found else 0


def main(arguments):
    if not arguments or not set(arguments[1:]) <= {*KERNELS, "--table"}:
        print(__doc__, file=sys.stderr)
        return 2
    build = Path(arguments[0]).resolve()
    if "--table" in arguments:
        print(table(build))
        return 0
    if not AGENT.exists():
        print(f"matrix.py: {AGENT} is not there; build it with `ninja -C build/release vedette`")
        return 1
    is_new = os.environ.get("VEDETTE_REGENERATE") == "1"
    chosen = arguments[1:] or list(KERNELS)
    wanted = None if is_new else expectations(DOC.read_text())
    codes = [run(build, series, wanted) for series in chosen]
    if is_new and not any(codes):
        results = {series: json.loads((build / f"vm_kernel_{series}.json").read_text())
                   for series in chosen}
        DOC.write_text(regenerate(results, DOC.read_text()))
    if len(chosen) > 1:
        print(table(build))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
