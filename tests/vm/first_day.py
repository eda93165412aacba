#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records two days of a booted Debian 12 in fast motion, for tests/recordings/first_day.

  first_day.py BUILD_DIR [OUT]

The clock of the machine is set forward from hour to hour; systemd's timers and cron start what is
due. BUILD_DIR has first_day_recorder. About 10 minutes.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import Machine, MachineError, build_image, make_disk

HERE = Path(__file__).resolve().parent
DAYS = ("2026-03-01", "2026-03-02")  # A Sunday and a Monday: weekly jobs are among them.
PACKAGES = ["libpam-systemd", "man-db", "unattended-upgrades", "rsyslog", "sudo", "e2fsprogs",
            "python3", "less", "tzdata", "bash-completion"]
# What the recorder is linked with.
LIBRARIES = ["libabsl20220623", "libbpf1", "libcurl4", "libfmt9", "libmicrohttpd12",
             "libprotobuf32", "librdkafka1", "libre2-9", "libspdlog1.10-fmt9", "libsqlite3-0",
             "libssl3", "libyaml-cpp0.7", "libzstd1"]
INSIDE = "/root/first_day_inside.sh"
HOUR_SECONDS = 600


def record(recorder, folder):
    with Machine(make_disk(build_image(PACKAGES + LIBRARIES), f"{folder}/disk"),
                 f"{folder}/console") as machine:
        machine.copy_in({"/root/first_day_recorder": recorder,
                         INSIDE: HERE / "first_day_inside.sh"})
        print(machine.must(f"{INSIDE} prepare", 300), end="", flush=True)
        print(machine.must(f"{INSIDE} record", 300), end="", flush=True)
        for day in DAYS:
            for hour in range(24):
                started = time.monotonic()
                print(machine.must(f"{INSIDE} hour {day} {hour:02}", HOUR_SECONDS), end="")
                print(f"{day} {hour:02}: {time.monotonic() - started:.0f} s", flush=True)
        print(machine.must(f"{INSIDE} finish", 400))
        machine.copy_out(["/root/first-day"], folder)
    return f"{folder}/root/first-day"


def main():
    recorder = Path(sys.argv[1]).resolve() / "first_day_recorder"
    out = (sys.argv[2:] or [str(HERE.parent / "recordings" / "first_day")])[0]
    with tempfile.TemporaryDirectory(prefix="vedette-first-day.") as folder:
        recording = record(recorder, folder)
        subprocess.run([recorder, "pack", recording, out], check=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MachineError as error:
        print(f"first_day.py: {error}", file=sys.stderr)
        sys.exit(1)
