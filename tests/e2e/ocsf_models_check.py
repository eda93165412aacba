#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parses findings with py-ocsf-models: ocsf_models_check.py PROGRAM, which prints one per line."""
import os
import subprocess
import sys

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
PYTHON = os.path.join(CACHE, "vedette", "python-e2e", "bin", "python")


def main() -> int:
    if sys.executable != PYTHON:
        if not os.path.exists(os.path.join(CACHE, "vedette", "python-e2e", "complete")):
            print(f"{PYTHON}: not there; run ./run-tests, which makes it, or tests/e2e/fetch_python.sh")
            return 1
        os.execv(PYTHON, [PYTHON, *sys.argv])
    from py_ocsf_models.events.findings.detection_finding import DetectionFinding

    lines = subprocess.run([sys.argv[1]], check=True, capture_output=True).stdout.splitlines()
    for line in lines:
        finding = DetectionFinding.model_validate_json(line)
        assert finding.type_uid in (200401, 200402), finding.type_uid
        assert finding.finding_info.uid and finding.metadata.product.name == "Vedette"
        print(f"parsed {finding.metadata.uid}: {finding.severity.name if hasattr(finding.severity, 'name') else finding.severity}")
    if not lines:
        print("no findings were printed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
