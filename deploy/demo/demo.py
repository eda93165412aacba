#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a small service in a cgroup of its own, lets the agent learn it, freezes its profile, checks
that the undisturbed service gives no finding, then breaks into it and checks that the intruder's
program is found with its ancestors. Exit 0 only if both were seen. Leaves nothing behind."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
CGROUP = "vedette-demo"
LEARN_SECONDS = 8
CALM_SECONDS = 5
PATIENCE_SECONDS = 20


class DemoError(Exception):
    pass


def cgroup_root():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 ") and before.split()[3] == "/":
                return before.split()[4]
    raise DemoError("no cgroup v2 hierarchy is mounted; mount one and start again")


class Demo:
    def __init__(self, options):
        self.options = options
        self.agent = None
        self.service = None
        self.cgroup = os.path.join(cgroup_root(), CGROUP)
        self.has_cgroup = False
        self.port = 0
        self.intruder = os.path.join(options.dir, "intruder")

    # --- the agent -------------------------------------------------------------------------------

    def start_agent(self):
        shutil.rmtree(self.options.dir, ignore_errors=True)
        os.makedirs(self.options.dir)
        config = os.path.join(self.options.dir, "vedette.yaml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({
                "store": {"dir": self.options.dir + "/store"},
                "api": {"socket": self.options.socket},
                "sinks": [{"jsonl": {"path": self.options.dir + "/findings.jsonl"}}],
                "bpf": {"pin_dir": self.options.pins},
                # The demo's own launcher puts the service in its cgroup.
                "identity": {"runtimes": [os.path.realpath(sys.executable)]},
            }, file)
        with open(self.options.dir + "/agent.log", "wb") as log:
            self.agent = subprocess.Popen([self.options.vedette, "run", "--config", config],
                                          stdout=log, stderr=log)
        self.wait_for("the agent answers", lambda: self.vedette("doctor") is not None)

    def vedette(self, *arguments):
        """The JSON that a command prints; None when it could not be done."""
        done = subprocess.run([self.options.vedette, *arguments, "-o", "json"], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode > 1:
            return None
        return json.loads(done.stdout or b"null")

    def findings(self):
        listed = self.vedette("finding", "list")
        if listed is None:
            raise DemoError("the agent does not answer; see " + self.options.dir + "/agent.log")
        rows = listed["findings"] if isinstance(listed, dict) else listed
        return [row for row in rows if row["workload"] == self.workload()]

    @staticmethod
    def workload():
        return "host/" + CGROUP

    def wait_for(self, what, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.agent.poll() is not None:
                with open(self.options.dir + "/agent.log", errors="replace") as log:
                    raise DemoError("the agent ended:\n" + log.read())
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise DemoError(f"waited {PATIENCE_SECONDS} s in vain until {what}")

    # --- the service -----------------------------------------------------------------------------

    def make_cgroup(self):
        os.makedirs(self.cgroup, exist_ok=True)
        with open(self.cgroup + "/cgroup.procs", encoding="ascii") as procs:
            others = procs.read().split()
        if others:
            raise DemoError(f"{self.cgroup}: another demo runs there, or was killed; "
                            f"end process {', '.join(others)} first")
        self.has_cgroup = True

    def start_service(self):
        self.service = subprocess.Popen(
            [sys.executable, HERE + "/place.py", self.cgroup, sys.executable, HERE + "/service.py"],
            stdout=subprocess.PIPE)
        self.port = int(self.service.stdout.readline())

    def stop_service(self):
        if self.service is not None:
            self.service.kill()
            self.service.wait()
            self.service = None

    def request(self, zone):
        url = f"http://127.0.0.1:{self.port}/when?" + urllib.parse.urlencode({"zone": zone})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read()

    def use_it(self, seconds):
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            self.request(("UTC", "Europe/Berlin", "Asia/Tokyo")[count % 3])
            count += 1
            time.sleep(0.02)
        return count

    # --- the story -------------------------------------------------------------------------------

    def run(self):
        print("== a service is watched")
        self.make_cgroup()
        self.start_agent()
        self.start_service()
        count = self.use_it(LEARN_SECONDS)
        self.stop_service()
        self.start_service()  # A restart is normal too.
        count += self.use_it(1)
        subprocess.run([self.options.vedette, "top"], check=False)
        print(f"\n== after {count} requests its profile is frozen; the undisturbed service goes on")
        if self.vedette("profile", "freeze", self.workload()) is None:
            raise DemoError("the profile could not be frozen")
        count = self.use_it(CALM_SECONDS)
        self.stop_service()
        self.start_service()
        count += self.use_it(1)
        calm = self.findings()
        print(f"   {count} requests and a restart: {len(calm)} findings")
        if calm:
            raise DemoError("the undisturbed service gave findings: " +
                            "; ".join(row["title"] for row in calm))
        print("== somebody uses the hole in it")
        shutil.copy("/usr/bin/id", self.intruder)
        self.request(f"UTC true; {self.intruder} -u #")
        found = self.wait_for("the intruder's program is found", self.find_intruder)
        print()
        subprocess.run([self.options.vedette, "finding", "show", found["uid"]], check=True)

    def find_intruder(self):
        for row in self.findings():
            process = row.get("process", {})
            ancestors = [a.get("path", "") for a in row.get("ancestors", [])]
            python = os.path.realpath(sys.executable)
            if process.get("path") == self.intruder and any("sh" in a for a in ancestors) and \
                    any(os.path.realpath(a) == python for a in ancestors):
                return row
        return None

    def clean_up(self):
        self.stop_service()
        if self.has_cgroup:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                try:
                    os.rmdir(self.cgroup)
                    break
                except OSError:
                    time.sleep(0.05)
        if self.agent is not None and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(timeout=15)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vedette", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--pins", required=True)
    options = parser.parse_args()
    os.environ["VEDETTE_SOCKET"] = options.socket
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    demo = None
    try:
        demo = Demo(options)
        demo.run()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if demo is not None:
            demo.clean_up()
    print("\nThe deviation was found with its ancestors; the undisturbed service gave no finding.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
