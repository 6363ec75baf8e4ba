#!/usr/bin/env python3
"""How long after the answer to CancelJobRun no process of the job lives any more.

    tests/benchmarks/cancelling.py [--cancels 60] [--width 3] [--dist DIR]

Real job runs are cancelled by turns: one that sleeps in Python beside an executor, one whose Python ignores SIGTERM, one whose JVM
does not want to end, one whose JVMs were all stopped by SIGSTOP, and one that is only just being started; half of them with the
default grace of 5 s, half with 2 s. What counts are the processes of its workers with all that descend from them, as /proc shows
them. At the moment that a job run is seen as CANCELLED none may be left.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

import os
import signal
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import Bars, choose_dist, in_the_virtual_environment, machine, of_a_built_tree, quantile

in_the_virtual_environment()

# Seconds beyond the grace.
LIMIT = 1.0
DEFAULT_GRACE = 5
SLEEPS = """
    import time
    from pyspark.sql import SparkSession
    SparkSession.builder.getOrCreate()
    time.sleep(3600)
    """
IGNORES = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
    """
STAYS = """
    package app;
    public final class Stays {
        public static void main(String[] arguments) throws Exception {
            Runtime.getRuntime().addShutdownHook(new Thread(Stays::forever));
            forever();
        }
        static void forever() {
            while (true) {
                try {
                    Thread.sleep(1000);
                } catch (InterruptedException ignored) {
                    // It does not want to end.
                }
            }
        }
    }"""
CASES = ["sleeps", "ignores SIGTERM", "stays", "stopped", "starting"]


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--cancels", type=int, default=60)
    parser.add_argument("--width", type=int, default=3, help="job runs at a time")
    return parser.parse_args()


class Family:
    """The processes of a job run's workers, and whatever came from them since."""

    def __init__(self, up, job):
        self.up, self.job, self.known = up, job, {}
        self.look()

    def look(self):
        from watch import Process, workers
        for worker in workers(self.up.data_dir):
            if worker.job == self.job:
                self.known[worker.process.pid] = worker.process
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        grown = True
        while grown:
            found = [pid for pid, parent in parents.items() if parent in self.known and pid not in self.known]
            grown = [process for process in map(Process.of, found) if process]
            self.known.update((process.pid, process) for process in grown)
        return self

    def alive(self):
        return [process for process in self.look().known.values() if process.is_alive()]


class Cancels:
    def __init__(self, up, jobs, jar):
        self.up, self.jobs = up, jobs
        self.sleeps, self.ignores, self.stays = (
            jobs.put("sleeps.py", textwrap.dedent(SLEEPS)), jobs.put("ignores.py", textwrap.dedent(IGNORES)), jobs.put("stays.jar", jar))

    def start(self, case):
        if case in ("sleeps", "stopped"):
            return self.jobs.start(self.sleeps)
        if case == "stays":
            return self.jobs.start(self.stays, parameters="--class app.Stays", conf=self.jobs.ALONE)
        return self.jobs.start(self.ignores, conf=self.jobs.ALONE)

    def ripe(self, case, job):
        """The job run's processes, when it is far enough to be cancelled."""
        from lab import wait_for
        if case == "starting":
            return Family(self.up, job)
        # Executor, driver and Python; JVM and Python; the JVM alone.
        least = {"sleeps": 3, "stopped": 3, "ignores SIGTERM": 2, "stays": 1}[case]

        def is_ripe():
            found = Family(self.up, job)
            return found if len(found.alive()) >= least else None
        self.jobs.wait_until(job, "RUNNING", lambda run: run["state"] == "RUNNING")
        family = wait_for(f"the processes of {job}", is_ripe, 120)
        if case == "stopped":
            for process in family.alive():
                os.kill(process.pid, signal.SIGSTOP)
        return family

    def one(self, number):
        """A case, its grace, and the seconds from the answer to the last process's end."""
        case, grace = CASES[number % len(CASES)], None if number // len(CASES) % 2 else 2
        job = self.start(case)
        family = self.ripe(case, job)
        asked = {} if grace is None else {"shutdownGracePeriodInSeconds": grace}
        self.jobs.emr.cancel_job_run(applicationId=self.jobs.application, jobRunId=job, **asked)
        answered, gone = time.monotonic(), None
        while True:
            if not family.alive():
                # A look takes a moment: it was then or before.
                gone = gone or time.monotonic()
            else:
                gone = None
            if gone and self.jobs.get(job)["state"] == "CANCELLED":
                break
            if not gone and time.monotonic() > answered + (grace or DEFAULT_GRACE):
                assert self.jobs.get(job)["state"] != "CANCELLED" or not family.alive(), f"job run {job} is CANCELLED and lives"
            assert time.monotonic() < answered + 120, f"job run {job} is {self.jobs.get(job)['state']}, {family.alive()} live"
            time.sleep(0.01)
        print(f"{case}: {gone - answered:.2f} s with a grace of {grace or DEFAULT_GRACE} s", flush=True)
        return case, grace or DEFAULT_GRACE, gone - answered


def main():
    options = arguments()
    choose_dist(options.dist)
    from lab import Hearth, make_jar
    from measured import first_job, running

    up, bars = Hearth("cancelling"), Bars()
    with running(up):
        jobs, job = first_job(up, "print(1)", "first")
        jobs.wait(job)
        cancels = Cancels(up, jobs, make_jar(up.home, "stays", "app/Stays.java", STAYS, "."))
        with ThreadPoolExecutor(options.width) as pool:
            taken = list(pool.map(cancels.one, range(options.cancels)))
        print(f"{len(taken)} cancels, {options.width} at a time; {machine()}")
        for case in [*CASES, "all"]:
            late = [seconds - grace for one, grace, seconds in taken if case in (one, "all")]
            whole = [seconds for one, _, seconds in taken if case in (one, "all")]
            if late:
                told = (f"p50 {quantile(whole, 0.5):.2f} s, p99 {quantile(whole, 0.99):.2f} s, max {max(whole):.2f} s; "
                        f"beyond the grace p99 {quantile(late, 0.99):+.2f} s")
                bars.tell(f"cancel, {case} ({len(late)})", told, f"at most {LIMIT:.0f} s beyond", quantile(late, 0.99) <= LIMIT)
    bars.exit()


if __name__ == "__main__":
    main()
