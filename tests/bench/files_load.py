#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ordinary programs do to the cache of files: files_load.py VEDETTE [LOAD...]. Needs root.

Starts an agent with probes.files on, and runs each load in a cgroup of its own: git, mkstemp,
requests (a directory each), gcc, dpkg; all local. Prints what the kernel told of it while the
profile learns, and again, with other names, once it is frozen."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 60.0
QUIET = 2.0  # Seconds without a further record: all is judged.
PYTHON = "/usr/bin/python3"


def cgroup_root():
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        if " - cgroup2 " in line:
            return Path(line.split()[4])
    sys.exit("cgroup2 is mounted nowhere")


def words(seed, count):
    """Names that could be words: three syllables."""
    chosen = random.Random(seed)
    return ["".join(chosen.choice("bdlmnprst") + chosen.choice("aeiou") + chosen.choice("nrst")
                    for _ in range(3)) for _ in range(count)]


def git(top, turn):
    """A repository of 300 files: thirty commits, a clone, gc."""
    lines = [f"rm -rf repo{turn} clone{turn}", f"git init -q repo{turn}", f"cd repo{turn}",
             "git config user.email load@example.org", "git config user.name load",
             "git config gc.auto 0"]
    for commit in range(30):
        for file in range(10):
            lines += [f"mkdir -p d{file}", f"echo {turn} {commit} {file} > d{file}/f{commit}.txt"]
        lines += ["git add -A", f"git commit -q -m {commit}"]
    lines += ["cd ..", f"git clone -q file://$PWD/repo{turn} clone{turn}", f"cd clone{turn}",
              "git gc -q"]
    return top, lines


def mkstemp(top, turn):
    """Temporary files of mktemp, of Python, and with names of letters alone."""
    script = top / "names.py"
    script.write_text(
        "import os, random, string, sys, tempfile\n"
        "where = sys.argv[1]\n"
        "for _ in range(20):\n"
        "    tempfile.NamedTemporaryFile(dir=where).close()\n"
        "for _ in range(10):\n"
        "    name = ''.join(random.choice(string.ascii_lowercase) for _ in range(8))\n"
        "    open(f'{where}/req-{name}', 'w').close()\n", encoding="utf-8")
    return top, [f"for i in $(seq 100); do {PYTHON} names.py {top}; mktemp -p . up.XXXXXX; "
                 "mktemp -p . upXXXXXX; mktemp -p . up.XXXXXX; mktemp -p . upXXXXXX; done"]


def requests(top, turn):
    """A directory for each request."""
    return top, [f"for i in $(seq {turn}000 {turn}999); do mkdir req-$i; echo x > req-$i/in.json; "
                 "echo x >> req-$i/in.json; echo x > req-$i/out.txt; rm -r req-$i; done"]


def gcc(top, turn):
    """Sixty files, compiled and linked, for each a program of its own."""
    lines = []
    for i in range(60):
        (top / f"m{i}.c").write_text(f"int f{i}(void) {{ return {i}; }}\n", encoding="utf-8")
        lines.append(f"gcc -pipe -c m{i}.c" if i % 2 else f"gcc -c m{i}.c")
    (top / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    return top, lines + ["gcc -o main main.c m*.o"] * 20


def dpkg(top, turn):
    """Forty packages of thirty files with names of their own, unpacked below a root of its own."""
    root = top / "root"
    (root / "var/lib/dpkg/info").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/updates").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    for package in range(40):
        tree = top / f"tree{package}"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: load{turn}x{package}\nVersion: 1\nArchitecture: all\n"
            "Maintainer: load <load@example.org>\nDescription: load\n", encoding="utf-8")
        for word in words(f"{turn} {package}", 30):
            file = tree / "opt" / word
            file.parent.mkdir(exist_ok=True)
            file.write_text(word, encoding="utf-8")
        subprocess.run(["dpkg-deb", "-b", str(tree), str(top / f"p{package}.deb")], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
    return top, [f"dpkg --root={root} --force-not-root --force-depends -i p*.deb"]


LOADS = {load.__name__: load for load in (git, mkstemp, requests, gcc, dpkg)}


class Agent:
    def __init__(self, binary, top):
        self.binary = binary
        self.pins = Path(f"/sys/fs/bpf/vedette-load-{os.getpid()}")
        self.socket = top / "agent.sock"
        self.log = top / "agent.log"
        config = top / "vedette.yaml"
        config.write_text(
            f"store: {{ dir: {top}/store }}\napi: {{ socket: {self.socket} }}\n"
            f"bpf: {{ pin_dir: {self.pins} }}\nprobes: {{ files: on }}\n"
            f"sinks: [{{ jsonl: {{ path: {top}/findings.jsonl }} }}]\n"
            "findings: { per_hour: 1000000 }\n", encoding="utf-8")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([binary, "run", "--config", str(config)], stderr=log,
                                            stdout=log)
        deadline = time.monotonic() + PATIENCE
        while self.ask("doctor", quiet=True) is None:
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.close()
                sys.exit(self.log.read_text(encoding="utf-8"))
            time.sleep(0.1)

    def run(self, *arguments, quiet=False):
        return subprocess.run([self.binary, *arguments, "--socket", str(self.socket)], check=False,
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL if quiet else None).stdout

    def ask(self, *arguments, quiet=False):
        text = self.run(*arguments, "--output", "json", quiet=quiet)
        return json.loads(text) if text else None

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        shutil.rmtree(self.pins, ignore_errors=True)


def settle(agent, workload):
    """What was told of the workload, once no more comes."""
    before, since = None, time.monotonic()
    while True:
        row = next((r for r in agent.ask("top")["workloads"] if r["name"] == workload), None)
        now = row["records"] if row else 0
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET:
            return now
        time.sleep(0.2)


def not_judged(agent, workload):
    rows = [row for row in agent.ask("doctor")["full"] if row["workload"] == workload]
    return sum(row["not_judged"] for row in rows)


def measure(agent, name, top):
    where = top / name
    where.mkdir()
    cgroup = cgroup_root() / f"vedette-load-{os.getpid()}-{name}"
    cgroup.mkdir()
    workload = f"host/{cgroup.name}"
    try:
        for turn, phase in ((1, "learning"), (2, "frozen")):
            if phase == "frozen":
                agent.run("profile", "freeze", workload)
            work, lines = LOADS[name](where, turn)
            told = settle(agent, workload)
            lost = not_judged(agent, workload)
            script = "\n".join(["set -e", *lines])
            start = time.monotonic()
            subprocess.run(["/bin/sh", "-c", f"echo $$ > {cgroup}/cgroup.procs; exec sh -c \"$0\"",
                            script], cwd=work, check=True, stdout=subprocess.DEVNULL,
                           env={**os.environ, "TMPDIR": str(work), "LC_ALL": "C"})
            took = time.monotonic() - start
            told = settle(agent, workload) - told
            lost = not_judged(agent, workload) - lost
            profile = agent.ask("profile", "show", workload)
            learned = [b for b in profile["behaviours"] if b["channel"] == "file"]
            deviations = [b for b in profile["deviations"] if b["channel"] == "file"]
            print(f"{name:9} {phase:9} {took:6.1f} s {told:6} records {lost:7} not judged "
                  f"{len(learned):5} learned {len(deviations):4} deviations", flush=True)
    finally:
        cgroup.rmdir()


def main():
    if len(sys.argv) < 2 or os.geteuid() != 0:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="vedette-load-") as name:
        top = Path(name)
        agent = Agent(os.path.abspath(sys.argv[1]), top)
        try:
            for load in sys.argv[2:] or LOADS:
                measure(agent, load, top)
            if os.environ.get("KEEP"):
                shutil.copytree(top / "store", os.environ["KEEP"], dirs_exist_ok=True)
            print(json.dumps(agent.ask("doctor")["cache"]))
        finally:
            agent.close()


if __name__ == "__main__":
    main()
