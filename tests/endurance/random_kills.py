#!/usr/bin/env python3
"""Kills coordinator, agent, keepers, drivers and executors by turns, at random moments, while real Spark jobs run.

usage: python3 tests/endurance/random_kills.py [--kills N] [--duration SECONDS] [--jobs N] [--seed N] [--ledger FILE]

Every job run must end as SUCCESS with the right result, exactly once; no job run may ever have two drivers; at the end
nothing of any worker may be left on the host. The outcome is appended to the ledger, a line of JSON. Lines count together
only when they are of the same build: `--total` adds up those of the present one.

Wants root (control groups), `deploy/build.sh` and the Python of `tests/run.sh`.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import BUNDLE_DEADLINE, DIST, Hearth, wait_for
from patience import PatientJobs, Work
from watch import OneDriver, daemons, leftovers, workers

VICTIMS = ["coordinator", "executor", "agent", "driver", "keeper"]
# Some seconds of work in either stage.
WORK = Work(rows=400, executors=2)


def build_id():
    """Identifies what is tested: the programs and jars."""
    digest = hashlib.sha256()
    for path in sorted([*(DIST / "bin").iterdir(), *(DIST / "share/hearth/jvm").rglob("*.jar")]):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Trial:
    """One hearth, its jobs and what was done to it."""

    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.kills, self.restarts, self.watch = collections.Counter(), [], None
        self.hearth = Hearth("kills")
        self.jobs = PatientJobs(self.hearth, "kills", WORK)
        self.faults = self.jobs.faults

    def prepare(self):
        self.hearth.start()
        self.jobs.prepare()
        self.jobs.submit()
        wait_for("the release and the first job run", lambda: self.jobs.collect() or self.jobs.done, BUNDLE_DEADLINE, 1)
        self.watch = OneDriver(self.hearth.data_dir)
        self.watch.start()

    def victim(self, kind):
        """A process of this kind that runs now, or none."""
        if kind in ("coordinator", "agent"):
            found = daemons(self.hearth.data_dir, {"coordinator": "hearth", "agent": "hearth-agent"}[kind])
            return found[0] if found else None
        running = workers(self.hearth.data_dir)
        wanted = {"driver": "SPARK_DRIVER", "executor": "SPARK_EXECUTOR"}.get(kind)
        candidates = [one for one in running if wanted in (None, one.kind)]
        if not candidates:
            return None
        chosen = self.random.choice(candidates)
        return chosen.keeper if kind == "keeper" else chosen.process

    def kill_one(self, kind):
        self.random_pause()
        found = wait_for(f"a {kind} to kill", lambda: self.top_up() or self.victim(kind), 120)
        if kind == "coordinator":
            self.hearth.kill()
            began = time.monotonic()
            self.hearth.start()
            self.restarts.append(round(time.monotonic() - began, 2))
        elif found.is_alive():
            os.kill(found.pid, signal.SIGKILL)
        self.kills[kind] += 1

    def random_pause(self):
        end = time.monotonic() + self.random.uniform(0.1, 4)
        while time.monotonic() < end:
            self.top_up()
            time.sleep(0.1)

    def top_up(self):
        """Keeps as many job runs open as were asked for."""
        self.jobs.collect()
        while len(self.jobs.open) < self.options.jobs:
            self.jobs.submit()

    def run(self):
        self.prepare()
        end = time.monotonic() + self.options.duration
        while time.monotonic() < end and sum(self.kills.values()) < self.options.kills and not self.faults:
            self.kill_one(VICTIMS[sum(self.kills.values()) % len(VICTIMS)])
            print(f"{sum(self.kills.values())} kills, {len(self.jobs.done)} job runs done, {len(self.jobs.open)} open", flush=True)
        wait_for("the last job runs", lambda: self.jobs.collect() or not self.jobs.open, 300, 0.5)
        self.settle()

    def settle(self):
        """After the last job run: nothing is left, and nothing has changed its outcome."""
        try:
            wait_for("nothing to be left", lambda: not leftovers(self.hearth.data_dir), 60)
        except AssertionError:
            self.faults += [f"left over: {what}" for what in leftovers(self.hearth.data_dir)]
        self.watch.over.set()
        self.watch.join()
        self.faults += [f"doubled: {what}" for what in self.watch.violations]
        self.jobs.check_outcomes()

    def line(self, build):
        return {
            "build": build, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "seed": self.options.seed,
            "kills": dict(self.kills), "job_runs": len(self.jobs.done), "faults": self.faults,
            "looks_for_two_drivers": self.watch.looks if self.watch else 0, "coordinator_restart_seconds_max": max(self.restarts, default=None)}


def total(ledger, build):
    lines = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
    lines = [line for line in lines if line["build"] == build]
    kills = collections.Counter()
    for line in lines:
        kills.update(line["kills"])
    faults = [fault for line in lines for fault in line["faults"]]
    print(f"build {build}: {sum(kills.values())} kills {dict(kills)} in {len(lines)} trials, "
          f"{sum(line['job_runs'] for line in lines)} job runs, {len(faults)} faults")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--duration", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--jobs", type=int, default=2, help="job runs at a time")
    parser.add_argument("--seed", type=int, default=None, help="of victims and moments; printed when chosen")
    parser.add_argument("--ledger", type=Path, default=Path.home() / ".cache/hearth/random-kills.jsonl")
    parser.add_argument("--total", action="store_true", help="only add up the ledger's lines of this build")
    options = parser.parse_args()
    build = build_id()
    if not options.total:
        options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
        print(f"build {build}, seed {options.seed}", flush=True)
        trial = Trial(options)
        try:
            trial.run()
        except Exception as error:  # Recorded like any other fault.
            trial.faults.append(f"trial: {type(error).__name__}: {error}")
        finally:
            options.ledger.parent.mkdir(parents=True, exist_ok=True)
            with options.ledger.open("a") as ledger:
                ledger.write(json.dumps(trial.line(build)) + "\n")
            for fault in trial.faults:
                print(fault)
            trial.hearth.stop()
            if trial.faults:
                print(f"kept {trial.hearth.home}")
            else:
                trial.hearth.remove()
    sys.exit(1 if total(options.ledger, build) else 0)


if __name__ == "__main__":
    main()
