#!/usr/bin/env python3
"""Kills coordinator, agent, keepers, drivers and executors by turns, at random moments, while real Spark jobs run.

usage: python3 tests/endurance/random_kills.py [--kills N] [--duration SECONDS] [--jobs N] [--seed N] [--also KIND,…]
                                               [--resume] [--total] [--ledger FILE]

Whenever something is killed, at least one job run is in state RUNNING and its driver lives. Every job run must end as
SUCCESS, right in everything that `load.py` checks, and exactly once; no job run may ever have two drivers; at the end
nothing of any worker may be left on the host, and of a stopped hearth nothing at all. The outcome is a line in the ledger,
where lines of the same build add up: `--total` says to what, `--resume` kills what is missing of `--kills`.

`--also` adds kinds to the turns: `pause` (the agent is stopped for some seconds, and continued), `double` (agent and
coordinator are killed within moments), `starting` (a coordinator that is just starting is killed again).

SIGINT ends a trial early, judged like any other; the second one breaks it off, and what it did is not counted.
Wants root (control groups), `deploy/build.sh` and the Python of `tests/run.sh`.
"""

import argparse
import collections
import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import BUNDLE_DEADLINE, Hearth, wait_for
from ledger import Ledger, build_id
from load import ATTEMPTS, Load
from watch import OneDriver, archives, daemons, leftovers, processes, remains, stored, workers

KINDS = ["coordinator", "executor", "agent", "driver", "keeper"]
OTHER_KINDS = ["pause", "double", "starting"]
# Between a kill and the next.
PAUSE = (0.1, 7)
# An agent that is stopped for so long loses contact, and no lease.
STOPPED = (0.5, 8)
# Two kills that belong together, and a coordinator's start that is cut off.
MOMENTS = (0, 0.4)
# Job runs do without class-data archives if they take longer.
ARCHIVES_WITHIN = 180
# For job runs to get to work and to come to an end, on a machine that others use too.
PATIENCE = 600
# Workers must have come to an end by themselves long before.
SETTLED_WITHIN = 60


class Trial:
    """One hearth, its jobs and what was done to it."""

    def __init__(self, options, wanted):
        self.options, self.wanted, self.random = options, wanted, random.Random(options.seed)
        self.turns = KINDS + options.also
        self.kills, self.faults, self.restarts, self.spent = collections.Counter(), [], [], collections.Counter()
        self.drivers_killed = collections.Counter()
        self.hearth, self.load, self.watch = Hearth("kills"), None, None
        self.is_over, self.is_judged, self.began = False, False, None

    def run(self):
        self.prepare()
        self.began = time.monotonic()
        end = self.began + self.options.duration
        while not self.is_over and time.monotonic() < end and self.kills.total() < self.wanted and not self.all_faults():
            self.kill_one(self.turns[self.kills.total() % len(self.turns)])
            print(self.progress(), flush=True)
        with self.spending("the last job runs"):
            wait_for("the last job runs", lambda: self.load.collect() or not self.load.open, PATIENCE, 0.5)
            self.settle()

    def prepare(self):
        self.hearth.start()
        self.load = Load(self.hearth, self.options.jobs)
        self.load.submit()
        with self.spending("the release and the first job run"):
            wait_for("the first job run", lambda: self.load.collect() or self.load.done, BUNDLE_DEADLINE, 0.5)
        with self.spending("class-data archives"), contextlib.suppress(AssertionError):
            # Agents that are killed every other minute would never make them, and job runs would start slower than they do.
            wait_for("class-data archives", lambda: archives(self.hearth.data_dir), ARCHIVES_WITHIN, 0.5)
        self.watch = OneDriver(self.hearth.data_dir)
        self.watch.start()

    def all_faults(self):
        seen = self.watch.violations if self.watch else []
        return [*self.faults, *(self.load.faults if self.load else []), *(f"doubled: {what}" for what in seen)]

    def kill_one(self, kind):
        """One kill, at a moment that chance chose and at which a job runs and there is such a victim."""
        with self.spending("pauses"):
            self.pause(*PAUSE)
        with self.spending("waiting for victims"):
            found = wait_for(f"a {kind} to kill while a job runs", lambda: self.is_over or self.victim(kind), PATIENCE, 0)
        if found is not True:
            with self.spending(f"{kind} kills"):
                self.strike(kind, found)
            self.kills[kind] += 1

    def victim(self, kind):
        """A process of this kind, if a job runs now; else waits for another random moment and answers nothing."""
        self.load.top_up()
        living = [one for one in workers(self.hearth.data_dir) if one.process.is_alive()]
        if any(one.kind == "SPARK_DRIVER" and one.job in self.load.running() for one in living):
            if kind in KINDS[1:] and (found := self.worker_or_agent(kind, living)):
                return found
            if kind not in KINDS[1:] and (found := daemons(self.hearth.data_dir, "hearth-agent")):
                return found[0]
        self.pause(0.1, 1.5)
        return None

    def worker_or_agent(self, kind, living):
        if kind == "agent":
            return next(iter(daemons(self.hearth.data_dir, "hearth-agent")), None)
        wanted = {"driver": "SPARK_DRIVER", "executor": "SPARK_EXECUTOR"}.get(kind)
        candidates = [one for one in living if wanted in (None, one.kind) and not self.is_spared(one)]
        if not candidates:
            return None
        chosen = self.random.choice(candidates)
        if chosen.kind == "SPARK_DRIVER":
            self.drivers_killed[chosen.job] += 1
        return chosen.keeper if kind == "keeper" else chosen.process

    def is_spared(self, worker):
        """Whether one more kill could use up its job run's attempts, so that the run failed rightly."""
        return worker.kind == "SPARK_DRIVER" and self.drivers_killed[worker.job] > ATTEMPTS - 2

    def strike(self, kind, found):
        match kind:
            case "coordinator":
                self.hearth.kill()
                self.restart()
            case "starting":
                self.hearth.kill()
                self.hearth.launch()
                time.sleep(self.random.uniform(*MOMENTS))
                self.hearth.kill()
                self.restart()
            case "double":
                steps = [lambda: end(found), self.hearth.kill]
                self.random.shuffle(steps)
                steps[0]()
                # Of an agent that is killed first, a next one may be starting by then.
                time.sleep(self.random.uniform(*MOMENTS) * 2)
                steps[1]()
                self.restart()
            case "pause":
                os.kill(found.pid, signal.SIGSTOP)
                try:
                    self.pause(*STOPPED)
                finally:
                    os.kill(found.pid, signal.SIGCONT)
            case _:
                end(found)

    def restart(self):
        began = time.monotonic()
        self.hearth.start()
        self.restarts.append(round(time.monotonic() - began, 2))

    def pause(self, shortest, longest):
        """A random time, in which job runs are looked after."""
        until = time.monotonic() + self.random.uniform(shortest, longest)
        while (left := until - time.monotonic()) > 0:
            self.load.top_up()
            time.sleep(min(0.2, max(0, left)))

    @contextlib.contextmanager
    def spending(self, what):
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent[what] += time.monotonic() - began

    def progress(self):
        kills, seconds = self.kills.total(), time.monotonic() - self.began
        rate = kills / seconds
        ends = time.strftime("%H:%M", time.gmtime(time.time() + (self.wanted - kills) / rate))
        return (f"{kills} of {self.wanted} kills, {60 * rate:.1f} a minute, the last at about {ends} UTC; "
                f"{len(self.load.done)} job runs done, {len(self.load.open)} open, {len(self.load.running())} running")

    def settle(self):
        """After the last job run: nothing is left, and nothing has changed its outcome."""
        try:
            wait_for("nothing to be left", lambda: not leftovers(self.hearth.data_dir), SETTLED_WITHIN)
        except AssertionError:
            self.faults += [f"left over: {what}" for what in leftovers(self.hearth.data_dir)]
        if (listed := self.load.listed()) != self.load.done:
            self.faults.append(f"changed: {listed} is listed, {self.load.done} was answered")

    def stop(self):
        """Ends hearth in good order, and looks whether anything remains; what does is ended as well."""
        if self.watch:
            self.watch.over.set()
            self.watch.join()
        try:
            if self.hearth.process is None or self.hearth.process.poll() is not None:
                self.hearth.start()  # Broken off in the middle of a kill: its workers are its to end.
            self.hearth.stop()
            self.faults += [f"remains: {what}" for what in remains(self.hearth.data_dir)]
            self.faults += stored(self.hearth.data_dir)
        except Exception as error:
            self.faults.append(f"stopping: {type(error).__name__}: {error}")
        for process, _ in processes(self.hearth.data_dir):
            end(process)

    def line(self):
        load = self.load
        return {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "seed": self.options.seed, "jobs": self.options.jobs,
            "judged": self.is_judged, "kills": dict(self.kills), "faults": self.all_faults(),
            "job_runs": len(load.done) if load else 0, "attempts": load.attempts if load else 0,
            "attempts_that_failed_unkilled": load.disturbed if load else [],
            "looks_for_two_drivers": self.watch.looks if self.watch else 0,
            "coordinator_restart_seconds_max": max(self.restarts, default=None),
            "seconds": {what: round(seconds, 1) for what, seconds in self.spent.items()}}


def end(process):
    """Kills exactly this process, if it still is."""
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)


def carry_out(trial, ledger):
    """One trial, from its first process to the line in the ledger."""
    def interrupted(*_):
        if trial.is_over:
            raise KeyboardInterrupt
        trial.is_over = True
        print("ending: once more breaks off", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    try:
        trial.run()
        trial.is_judged = True
    except KeyboardInterrupt:
        print("broken off", flush=True)
    except Exception as error:  # Recorded like any other fault.
        trial.faults.append(f"trial: {type(error).__name__}: {error}")
    finally:
        # From here on nothing is left half done.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        trial.stop()
        ledger.append(trial.line())
    for fault in trial.all_faults() + [f"unkilled: {what}" for what in trial.line()["attempts_that_failed_unkilled"]]:
        print(fault)
    print({what: round(seconds) for what, seconds in trial.spent.items()})
    if trial.all_faults():
        print(f"kept {trial.hearth.home}")
    else:
        trial.hearth.remove()


def kinds(text):
    chosen = text.split(",")
    if unknown := set(chosen) - set(OTHER_KINDS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(OTHER_KINDS)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--duration", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--jobs", type=int, default=3, help="job runs at a time")
    parser.add_argument("--seed", type=int, default=None, help="of victims and moments; printed when chosen")
    parser.add_argument("--also", type=kinds, default=[], help="further kinds, separated by commas")
    parser.add_argument("--ledger", type=Path, default=Path.home() / ".cache/hearth/random-kills.jsonl")
    parser.add_argument("--resume", action="store_true", help="only as many kills as the ledger lacks of this build")
    parser.add_argument("--total", action="store_true", help="only add up the ledger's lines of this build")
    options = parser.parse_args()
    ledger = Ledger(options.ledger, build_id())
    wanted = options.kills - (ledger.kills().total() if options.resume else 0)
    if wanted > 0 and not options.total:
        options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
        print(f"build {ledger.build}, seed {options.seed}", flush=True)
        carry_out(Trial(options, wanted), ledger)
    print(ledger.summary())
    sys.exit(1 if ledger.faults() else 0)


if __name__ == "__main__":
    main()
