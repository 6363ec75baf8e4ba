#!/usr/bin/env python3
"""Kills hearth's processes at every fault point of `shared/faults`, one after another, while a real Spark job runs.

usage: python3 tests/endurance/fault_points.py [--only PATTERN...] [--together] [--list]

Whoever dies is started again, as systemd would: `hearth up` by this program, its agent by `hearth up`. Each job run must end as
SUCCESS in its one attempt (a keeper's death may cost one) with the right result, exactly once, with one driver and one
executor; nothing of any worker may be left; and the point must really have been reached.

Wants root (control groups) and the programs built with the points: `tests/run.sh build fault_points` makes them.
"""

import argparse
import fnmatch
import os
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "several_hosts")]

from hosts import Cluster
from hosts import leftovers as hosts_leftovers
from lab import DIST, ROOT, Hearth, wait_for
from patience import PatientJobs, Work
from watch import OneDriver, daemons, leftovers, workers

# As little as shows a shuffle.
WORK = Work(rows=40, executors=1)
# Of one job run, however often its daemons die and whatever else the machine has to do.
JOB_DEADLINE = 900
TABLE = ROOT / "shared/faults/src/points.rs"


class Faults:
    """Which points are deadly: files in a directory that every process of hearth knows by its environment."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="hearth-faults-"))
        os.environ["HEARTH_FAULTS"] = str(self.directory)

    def arm(self, point, let_go):
        (self.directory / point).write_text(str(let_go))

    def is_reached(self, point):
        return (self.directory / f"{point}.reached").exists()

    def disarm(self):
        for path in self.directory.iterdir():
            path.unlink()


class Bench:
    """A hearth that is started again whenever it dies, and its jobs."""

    def __init__(self):
        self.hearth = Hearth("faults")
        self.jobs = PatientJobs(self.hearth, "faults", WORK, self.tend)
        self.watch = OneDriver(self.hearth.data_dir)

    def tend(self):
        """Starts `hearth up` again if it is dead."""
        if self.hearth.process.poll() is not None:
            self.hearth.is_dead()
            self.hearth.launch()

    def wait_for(self, what, condition, deadline):
        return wait_for(what, lambda: self.tend() or condition(), deadline)

    def start(self):
        self.hearth.launch()
        self.wait_for("hearth to be ready", self.is_ready, 60)

    def is_ready(self):
        try:
            return self.hearth.is_ready()
        except AssertionError:
            return False  # It has just died.

    def run_job(self, attempts, while_it_runs=lambda: None):
        """One job run from its submission until nothing is left of it."""
        job = self.jobs.submit(attempts)
        while_it_runs()
        self.wait_for("the end of the job run", lambda: self.jobs.collect() or not self.jobs.open, JOB_DEADLINE)
        self.wait_for("nothing to be left", lambda: not leftovers(self.hearth.data_dir), 120)
        ran = self.watch.seen.get(job, set())
        if attempts == 1 and len(ran) > 1 + WORK.executors:
            self.jobs.faults.append(f"disturbed: job run {job} had workers {sorted(ran)}")

    def faults(self):
        """What was wrong since the last time."""
        found = self.jobs.faults + [f"doubled: {what}" for what in self.watch.violations]
        self.jobs.faults, self.watch.violations = [], []
        return found

    def stop(self, keep):
        self.watch.over.set()
        if self.watch.is_alive():
            self.watch.join()
        # One that cannot be stopped in good order was reported before.
        self.tend()
        self.hearth.stop()
        if keep:
            print(f"kept {self.hearth.home}")
        else:
            self.hearth.remove()


def in_place(run):
    """A bench with the release built and one job run done."""
    bench = run.bench
    if bench is None:
        bench = run.bench = Bench()
        bench.start()
        bench.watch.start()
        bench.jobs.prepare()
        bench.run_job(1)
    return bench


def job(run, points):
    """A job run of one attempt: no daemon's death costs one."""
    in_place(run).run_job(1)


def job_while_agent_restarts(run, points):
    """A job run whose agent is killed while its driver runs, so that the next one attaches and asks for what it needs."""
    bench = in_place(run)

    def kill_agent():
        bench.wait_for("a driver", lambda: [one for one in workers(bench.hearth.data_dir) if one.kind == "SPARK_DRIVER"], 60)
        for agent in daemons(bench.hearth.data_dir, "hearth-agent"):
            os.kill(agent.pid, signal.SIGKILL)
    bench.run_job(1, while_it_runs=kill_agent)


def job_with_retries(run, points):
    """A job run whose worker may be lost with its keeper."""
    in_place(run).run_job(3)


def first_job(run, points):
    """The first job run on a host: the release is assembled, its bundle fetched."""
    in_place(run)


def certificates(run, points):
    """A host whose certificate lives for seconds: renewed, and once more by whoever was started since."""
    cluster = Cluster(hosts=1, settings="certificate_seconds = 30\n")
    try:
        cluster.start()
        daemons = [cluster.coordinator, cluster.hosts[0].agent]

        def tend():
            for daemon in daemons:
                if daemon.process.poll() is not None:
                    daemon.start()
        wait_for("the renewal", lambda: tend() or all(map(run.points.is_reached, points)), 60)
        before = daemons[1].times("certificate renewed")
        wait_for("the next renewal", lambda: tend() or daemons[1].times("certificate renewed") > before, 90)
        assert cluster.answers(), "the coordinator does not serve"
    finally:
        cluster.stop()
    run.faults += [f"left over: {what}" for what in hosts_leftovers(cluster)]


def start(run, points):
    """The first start of `hearth up` on a directory, and one agent afterwards."""
    bench = Bench()
    bench.start()
    bench.stop(keep=False)
    for agent in daemons(bench.hearth.data_dir, "hearth-agent"):
        os.kill(agent.pid, signal.SIGKILL)
        run.faults.append("left over: an agent that outlived its `hearth up`")


# Told of one hearth, one after the other.
ON_SHARED = (job, job_while_agent_restarts, job_with_retries)


@dataclass(frozen=True)
class Case:
    """The story in which a point is passed, and after how many passings it is deadly, each a trial of its own."""
    story: object = job
    after: tuple = (0,)


CASES = {
    "engine.decided": Case(after=(0, 3)),
    "engine.committed": Case(after=(0, 3, 6)),
    "engine.answered": Case(after=(0, 2)),
    "engine.effect-handed-over": Case(after=(0, 2)),
    "store.executed": Case(after=(0, 4)),
    "store.committed": Case(after=(0, 4)),
    "objects.received": Case(after=(0, 2)),
    "objects.executed": Case(after=(0, 5)),
    "objects.committed": Case(after=(0, 5)),
    "objects.upload-completed": Case(),
    "agents.greeted": Case(job_while_agent_restarts),
    "agents.attached": Case(job_while_agent_restarts),
    "agents.start-ordered": Case(after=(0, 1)),
    "agents.start-sent": Case(after=(0, 1)),
    "agents.report-heard": Case(after=(0, 6)),
    "agents.report-recorded": Case(after=(0, 6)),
    "agents.forget-sent": Case(),
    "agents.credentials-made": Case(job_while_agent_restarts),
    "agent.fence-recorded": Case(),
    "agent.spec-recorded": Case(after=(0, 1)),
    "agent.worker-recorded": Case(after=(0, 1)),
    "agent.state-recorded": Case(after=(0, 8, 10, 12)),
    "agent.uid-taken": Case(),
    "agent.directories-made": Case(),
    "agent.cgroup-made": Case(),
    "agent.lease-written": Case(after=(0, 1)),
    "agent.launch-written": Case(after=(0, 1)),
    "agent.keeper-spawned": Case(after=(0, 1)),
    "agent.launched": Case(after=(0, 1)),
    "agent.run-recorded": Case(),
    "agent.run-told": Case(),
    "agent.exit-seen": Case(after=(0, 1)),
    "agent.log-uploaded": Case(),
    "agent.log-recorded": Case(),
    "agent.logs-flushed": Case(after=(0, 1)),
    "agent.message-sent": Case(after=(0, 6)),
    "agent.forget-heard": Case(),
    "agent.removal-fenced": Case(),
    "agent.cgroup-removed": Case(),
    "agent.directory-renamed": Case(),
    "agent.worker-removed": Case(),
    "agent.bundle-downloaded": Case(first_job),
    "agent.bundle-unpacked": Case(first_job),
    "agent.bundle-published": Case(first_job),
    "keeper.launch-read": Case(job_with_retries, after=(0, 1)),
    "keeper.worker-started": Case(job_with_retries, after=(0, 1)),
    "keeper.recorded": Case(job_with_retries, after=(0, 1)),
    "keeper.worker-ended": Case(job_with_retries),
    "keeper.exit-recorded": Case(after=(0, 1)),
    "enrolment.recorded": Case(start),
    "agent.joined": Case(start),
    "up.enrolled": Case(start),
    "up.agent-started": Case(start),
    "agents.certificate-signed": Case(certificates),
    "agent.certificate-saved": Case(certificates),
    "release.built": Case(first_job),
    "release.kept": Case(first_job),
}


@dataclass
class Run:
    """All trials, the hearth that they share, and what came of them."""
    points: Faults = field(default_factory=Faults)
    bench: Bench = None
    faults: list = field(default_factory=list)
    lines: list = field(default_factory=list)

    def replace_bench(self, keep):
        if self.bench is not None:
            self.bench.stop(keep)
            self.bench = None

    def trial(self, story, points, let_go=0, need_all=True):
        """Tells a story in which all of these points are deadly; those that were not reached, though some were."""
        if story in ON_SHARED:
            in_place(self)
        self.faults, began, missed = [], time.monotonic(), []
        for point in points:
            self.points.arm(point, let_go)
        try:
            story(self, points)
            missed = [point for point in points if not self.points.is_reached(point)]
            if missed and (need_all or missed == points):
                self.faults.append(f"never reached: {', '.join(missed)}")
                missed = []
        except Exception as error:  # Recorded like any other fault.
            self.faults.append(f"{type(error).__name__}: {error}")
        self.points.disarm()
        if self.bench is not None:
            self.faults += self.bench.faults()
            if self.faults:
                # What is wrong with this one must not be held against the next point.
                self.replace_bench(keep=True)
        name = points[0] if len(points) == 1 else f"{len(points)} points together"
        self.lines.append((name, let_go, time.monotonic() - began, self.faults))
        print(table_line(self.lines[-1]), flush=True)
        return missed

    def finish(self):
        if self.bench is not None:
            self.bench.jobs.check_outcomes()
            self.lines += [("all together", 0, 0, [fault]) for fault in self.bench.faults()]
            self.replace_bench(keep=False)
        self.points.directory.rmdir()


def table_line(line):
    point, let_go, seconds, faults = line
    return f"{point:28} {let_go:3} {seconds:6.1f} s  {'; '.join(faults) or 'ok'}"


def points_of_table():
    return re.findall(r'= "([a-z.-]+)",', TABLE.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="points whose name matches, such as 'agent.*'")
    parser.add_argument("--together", action="store_true", help="one job run for all points of a story, one death after the other")
    parser.add_argument("--list", action="store_true", help="only name the points")
    options = parser.parse_args()
    points = points_of_table()
    if set(points) != set(CASES):
        sys.exit(f"points and cases differ: {sorted(set(points) ^ set(CASES))}")
    wanted = [point for point in points if any(fnmatch.fnmatch(point, pattern) for pattern in options.only)]
    if options.list:
        sys.exit(print("\n".join(wanted)))
    if b"HEARTH_FAULTS" not in (DIST / "bin/hearth").read_bytes():
        sys.exit(f"{DIST} is built without fault points: tests/run.sh build fault_points")
    run, began = Run(), time.monotonic()
    for story in (start, certificates):
        for point in wanted:
            if CASES[point].story is story:
                run.trial(story, [point])
    # There is one first job run on a host: they are all passed in it, one death after the other.
    if at_first := [point for point in wanted if CASES[point].story is first_job]:
        run.trial(first_job, at_first)
    if options.together:
        for story in ON_SHARED:
            left = [point for point in wanted if CASES[point].story is story]
            while left:
                # A death at one point may be the reason why this job run does not pass another.
                left = run.trial(story, left, need_all=False)
    else:
        for point in wanted:
            if CASES[point].story in ON_SHARED:
                for let_go in CASES[point].after:
                    run.trial(CASES[point].story, [point], let_go)
    run.finish()
    failed = [line for line in run.lines if line[3]]
    print(f"{len(wanted)} points, {len(run.lines)} trials in {time.monotonic() - began:.0f} s, {len(failed)} failed")
    for line in failed:
        print(table_line(line))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
