#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scrapes an agent with a real Prometheus, and asks it what dashboard and alerts ask.

prometheus_check.py HOST:PORT DIRECTORY: Prometheus keeps its data and log in DIRECTORY. Every query
of the dashboard has to have an answer, every alert a result or none; what has no answer is printed.
"""

import json
import pathlib
import re
import select
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy/grafana/vedette.json"
RULES = ROOT / "deploy/prometheus/vedette.rules.yml"
BOUND_SECONDS = 60
# What Grafana puts in place of its variables.
VARIABLES = {
    "$__rate_interval": "30s",
    "$__range": "5m",
    "$instance": ".*",
    "$workload": ".*",
}


def filled(expression):
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    if "$" in expression:
        sys.exit(f"a variable that nobody fills: {expression}")
    return expression


def dashboard_queries():
    dashboard = json.loads(DASHBOARD.read_text())
    queries = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            queries[f'{panel["title"]} {target["refId"]}'] = filled(target["expr"])
    for variable in dashboard["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), \w+\)", variable.get("definition", ""))
        if found:
            queries[f'variable {variable["name"]}'] = filled(found[1])
    return queries


class Prometheus:
    """The server, on a port that the kernel chose."""

    def __init__(self, directory, target):
        self.directory = pathlib.Path(directory)
        config = self.directory / "prometheus.yml"
        config.write_text(
            "global: { scrape_interval: 1s, evaluation_interval: 1s }\n"
            f'rule_files: ["{RULES}"]\n'
            "scrape_configs:\n"
            f'  - job_name: vedette\n    static_configs: [{{ targets: ["{target}"] }}]\n'
        )
        self.log = self.directory / "prometheus.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self.directory / 'data'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stdout=log,
                stderr=log,
            )
        self.port = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=BOUND_SECONDS)

    def find_port(self):
        found = re.search(r'msg="Listening on" address=127\.0\.0\.1:(\d+)', self.log.read_text())
        self.port = found and int(found[1])
        return self.port is not None

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)
        except (urllib.error.URLError, json.JSONDecodeError) as error:
            return {"status": "error", "error": str(error)}

    def query(self, expression):
        answer = self.get("/api/v1/query", query=expression)
        if answer["status"] != "success":
            return None
        return answer["data"]["result"]


def wait_for(condition):
    end = time.monotonic() + BOUND_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.1)  # Asks again in a moment.
    return True


def main():
    target, directory = sys.argv[1:]
    with Prometheus(directory, target) as server:
        if not wait_for(server.find_port):
            sys.exit("prometheus does not listen: " + server.log.read_text())
        waiting = dashboard_queries()
        asked = len(waiting)

        def all_answered():
            for title in [t for t, q in waiting.items() if server.query(q)]:
                del waiting[title]
            return not waiting

        if not wait_for(all_answered):
            for title, query in waiting.items():
                print(f"no answer: {title}: {query}")
            sys.exit(1)
        rules = server.get("/api/v1/rules")["data"]["groups"][0]["rules"]
        wrong = [rule for rule in rules if rule["health"] == "err"]
        for rule in wrong:
            print(f'alert {rule["name"]}: {rule["lastError"]}')
        print(f"{asked} queries answered, {len(rules)} alerts evaluated")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
