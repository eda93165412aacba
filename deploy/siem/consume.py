#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads Vedette's topics the way a SIEM should: each record once, and no gap unnoticed.

Needs confluent-kafka. docs/siem.md explains what it relies on. On standard output, one JSON object
per line: each finding as it came, and {"vedette": {...}} for what is to be known besides:
  kind "lost"      the agent itself says that something was dropped; `reasons` says what
  kind "missing"   records that were accepted did not arrive and the ledger does not say why
  kind "explained" what was missing has arrived late, or the ledger has said why
  kind "renumbered" the node's store was replaced, so what waited in it is lost
With --once it reads what is there and ends: exit code 1 if something is lost or missing.
"""

import argparse
import json
import sqlite3
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

MAX_IDS = 1_000_000  # Ids that are remembered; a copy comes within minutes of the first.
MAX_MISSING = 100_000  # Numbers that are remembered as missing, per judgement.

TABLES = """
CREATE TABLE IF NOT EXISTS records(place INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT, uid TEXT,
  UNIQUE(node, uid));
CREATE TABLE IF NOT EXISTS arrived(node TEXT, number INTEGER, PRIMARY KEY(node, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS missing(node TEXT, number INTEGER, PRIMARY KEY(node, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending(node TEXT, number INTEGER, accounted INTEGER, received REAL);
CREATE TABLE IF NOT EXISTS nodes(node TEXT PRIMARY KEY, judged INTEGER, accounted INTEGER, told INTEGER);
CREATE TABLE IF NOT EXISTS offsets(topic TEXT, partition INTEGER, next INTEGER,
  PRIMARY KEY(topic, partition)) WITHOUT ROWID;
"""


class Reader:
    """What was read so far. Everything, offsets too, is in one SQLite file and committed together."""

    def __init__(self, args):
        self.args = args
        self.sink = args.sink or "kafka:" + args.findings
        self.db = sqlite3.connect(args.state, isolation_level=None)
        self.db.executescript(TABLES)
        self.trouble = False

    def say(self, kind, node, sentence, **more):
        self.trouble = self.trouble or kind in ("lost", "missing", "renumbered")
        print(json.dumps({"vedette": {"kind": kind, "node": node, "sentence": sentence, **more}}))

    def is_copy(self, node, uid):
        try:
            self.db.execute("INSERT INTO records(node, uid) VALUES(?, ?)", (node, uid))
        except sqlite3.IntegrityError:
            return True
        return False

    def take(self, message):
        """One message, within the caller's transaction."""
        self.db.execute(
            "INSERT INTO offsets VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
            (message.topic(), message.partition(), message.offset() + 1),
        )
        headers = {name: value.decode() for name, value in message.headers() or []}
        if "event-uid" not in headers:
            return
        node, number = headers["node"], int(headers.get("sequence", 0))
        if number > 0:
            self.db.execute("INSERT OR IGNORE INTO arrived VALUES(?, ?)", (node, number))
            self.db.execute("DELETE FROM missing WHERE node = ? AND number = ?", (node, number))
        if self.is_copy(node, headers["event-uid"]):
            return
        if message.topic() == self.args.ledger:
            self.take_ledger(node, number, json.loads(message.value()))
        else:
            print(message.value().decode())

    def take_ledger(self, node, number, record):
        dropped = {}
        for entry in record["entries"]:
            if entry["stage"] == "export" and entry["counter"] == self.sink:
                dropped = entry["dropped"]
        if record["gaps"]:
            self.say("lost", node, "; ".join(record["gaps"]), reasons=dropped, ledger=record["uid"])
        if number > 0:
            self.db.execute(
                "INSERT INTO pending VALUES(?, ?, ?, ?)",
                (node, number, sum(dropped.values()), time.time()),
            )

    def judge(self, arrived_before):
        """Every number below a ledger record's own must have come, or be accounted for."""
        rows = self.db.execute(
            "SELECT node, number, accounted FROM pending WHERE received <= ? ORDER BY node, number",
            (arrived_before,),
        ).fetchall()
        for node, number, accounted in rows:
            self.judge_ledger(node, number, accounted)
        self.db.execute("DELETE FROM pending WHERE received <= ?", (arrived_before,))
        for (node,) in self.db.execute("SELECT node FROM nodes").fetchall():
            self.tell(node)
        self.db.execute("DELETE FROM records WHERE place <= (SELECT max(place) FROM records) - ?", (MAX_IDS,))

    def judge_ledger(self, node, number, accounted):
        row = self.db.execute("SELECT judged FROM nodes WHERE node = ?", (node,)).fetchone()
        if row is None or number <= row[0]:
            if row is not None:
                self.say("renumbered", node, f"{node} counts anew: its store was replaced")
            # Nothing is known of what came before the first ledger record.
            self.db.execute("INSERT OR REPLACE INTO nodes VALUES(?, ?, 0, 0)", (node, number))
            self.db.execute("DELETE FROM missing WHERE node = ?", (node,))
        else:
            here = {
                n
                for (n,) in self.db.execute(
                    "SELECT number FROM arrived WHERE node = ? AND number > ? AND number <= ?",
                    (node, row[0], number),
                )
            }
            absent = [n for n in range(row[0] + 1, number + 1) if n not in here][:MAX_MISSING]
            self.db.executemany("INSERT OR IGNORE INTO missing VALUES(?, ?)", ((node, n) for n in absent))
            self.db.execute(
                "UPDATE nodes SET judged = ?, accounted = accounted + ? WHERE node = ?",
                (number, accounted, node),
            )
        self.db.execute("DELETE FROM arrived WHERE node = ? AND number <= ?", (node, number))

    def tell(self, node):
        """Says what is missing without a reason, once, and when it is no longer so."""
        accounted, told = self.db.execute(
            "SELECT accounted, told FROM nodes WHERE node = ?", (node,)
        ).fetchone()
        numbers = [
            n
            for (n,) in self.db.execute(
                "SELECT number FROM missing WHERE node = ? ORDER BY number", (node,)
            )
        ]
        unexplained = max(0, len(numbers) - accounted)
        if unexplained > told:
            self.say(
                "missing",
                node,
                f"{unexplained} records of {node} between number {numbers[0]} and {numbers[-1]} did "
                "not arrive, and the ledger does not account for them",
                missing=unexplained,
                first=numbers[0],
                last=numbers[-1],
            )
        elif unexplained < told:
            self.say("explained", node, f"of {told} missing records of {node}, {unexplained} are left")
        self.db.execute("UPDATE nodes SET told = ? WHERE node = ?", (unexplained, node))


def assign(consumer, reader):
    """All partitions of both topics, from where the state says."""
    known = dict(((t, p), n) for t, p, n in reader.db.execute("SELECT * FROM offsets"))
    wanted = []
    for topic in {reader.args.findings, reader.args.ledger}:
        metadata = consumer.list_topics(topic, timeout=30).topics[topic]
        if metadata.error is not None:
            sys.exit(f"topic {topic}: {metadata.error.str()}; create it or correct its name")
        for partition in metadata.partitions:
            start = known.get((topic, partition), OFFSET_BEGINNING)
            wanted.append(TopicPartition(topic, partition, start))
    consumer.assign(wanted)
    return {(w.topic, w.partition) for w in wanted}


def follow(consumer, reader):
    partitions = assign(consumer, reader)
    at_end = set()
    while True:
        messages = consumer.consume(500, timeout=0.5)
        reader.db.execute("BEGIN")
        for message in messages:
            place = (message.topic(), message.partition())
            if message.error() is None:
                at_end.discard(place)
                reader.take(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                at_end.add(place)
            else:
                print(f"Kafka: {message.error().str()}", file=sys.stderr)
        # A copy on another partition may still be on its way, so a ledger record waits a while.
        if at_end == partitions:
            reader.judge(time.time() - (0 if reader.args.once else reader.args.grace))
        reader.db.execute("COMMIT")
        sys.stdout.flush()
        if reader.args.once and at_end == partitions:
            return 1 if reader.trouble else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", required=True, help="HOST:PORT, several with commas")
    parser.add_argument("--findings", default="vedette.findings", help="the topic of the findings")
    parser.add_argument("--ledger", default="vedette.ledger", help="the topic of the ledger")
    parser.add_argument("--sink", help="the sink's name in the ledger; kafka:TOPIC as it is")
    parser.add_argument("--state", default="vedette-siem.db", help="where to remember what was read")
    parser.add_argument("--grace", type=float, default=10, help="seconds before a gap is told")
    parser.add_argument("--once", action="store_true", help="end when everything is read")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="an option of librdkafka, such as security.protocol=sasl_ssl")
    parser.add_argument("--set-file", action="append", default=[], metavar="OPTION=FILE",
                        help="the same, with the value in a file: sasl.password=/etc/siem/password")
    args = parser.parse_args()
    secrets = {}
    for option in args.set_file:
        name, path = option.split("=", 1)
        with open(path, encoding="utf-8") as file:
            secrets[name] = file.read().rstrip("\r\n")
    consumer = Consumer({
        "bootstrap.servers": args.brokers,
        "group.id": "vedette-siem",
        "enable.auto.commit": False,  # The state file has the offsets, beside what was made of them.
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",  # What retention took meanwhile is missing, and is told.
        **dict(option.split("=", 1) for option in args.set),
        **secrets,
    })
    try:
        return follow(consumer, Reader(args))
    except KeyboardInterrupt:
        return 0
    finally:
        consumer.close()


if __name__ == "__main__":
    sys.exit(main())
