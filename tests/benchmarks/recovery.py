#!/usr/bin/env python3
"""How long coordinator and agent take to be back after `kill -9`, with 100,000 ended job runs in the store and one that runs.

    tests/benchmarks/recovery.py [--job-runs 100000] [--rounds 3] [--dist DIR]

The store is filled with copies of a job run that was really run, with its workers, through the store's own code (`tests/load`).
The coordinator is killed and started again at once: it serves when it has answered a signed `GetJobRun`. The agent is killed and
started again by `hearth up`, and the time counts from the kill: it has adopted its workers when it says so of each, and the
coordinator knows when the agent is attached again, since it tells all its workers in its greeting. The job, its two processes and
its attempt must be the same throughout, and it must end in SUCCESS.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

import os
import re
import signal
import socket
import time
from datetime import datetime

from bench import Bars, Disk, choose_dist, in_the_virtual_environment, machine, of_a_built_tree

in_the_virtual_environment()

# Seconds.
LIMIT = 3
WAITS = """
import sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
path = spark._jvm.org.apache.hadoop.fs.Path(sys.argv[1])
files = path.getFileSystem(spark._jsc.hadoopConfiguration())
while not files.exists(path):
    time.sleep(0.5)
print("sum", spark.range(1000).groupBy().sum().first()[0])
"""


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--job-runs", type=int, default=100_000, help="ended job runs in the store")
    parser.add_argument("--rounds", type=int, default=3, help="how often each of the two is killed")
    return parser.parse_args()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


def restart_coordinator(up, jobs, job):
    """Seconds from the start of a new coordinator to its first signed answer, and to its ready line with the agent in contact."""
    from lab import wait_for
    up.kill()
    begin = time.monotonic()
    up.launch()
    # A client that is refused waits before it tries again: it is asked once somebody listens.
    wait_for("somebody who listens", lambda: listens(up.port), 60, 0.005)
    assert jobs.get(job)["state"] == "RUNNING"
    answered = time.monotonic() - begin
    wait_for("hearth to be ready", up.is_ready, 60)
    return answered, time.monotonic() - begin


def moments(log, start, text):
    """When the agent said so, in seconds since the epoch, after `start` of its log."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace")[start:]).splitlines()
    return [datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp() for line in lines if text in line]


def restart_agent(up, count):
    """Seconds from the kill of the agent until it has adopted all its workers, and until it is attached again."""
    from lab import wait_for
    from watch import daemons
    log = up.data_dir / "agent/agent.log"
    start, killed = len(log.read_text(errors="replace")), time.time()
    [agent] = daemons(up.data_dir, "hearth-agent")
    os.kill(agent.pid, signal.SIGKILL)
    attached = wait_for("the agent to be back", lambda: moments(log, start, "attached to the coordinator"), 60)
    adopted = wait_for("the workers to be adopted", lambda: (
        found if len(found := moments(log, start, "worker adopted")) == count else None), 60)
    return max(adopted) - killed, attached[0] - killed


def main():
    options = arguments()
    choose_dist(options.dist)
    from lab import Hearth, wait_for
    from measured import build_load, copy_job, first_job, running
    from watch import workers

    load = build_load()
    up = Hearth("recovery")
    bars = Bars()
    with running(up):
        jobs, job = first_job(up, "print(1)", "first")
        jobs.wait(job)
        up.stop()
        begin = time.monotonic()
        copy_job(load, up.data_dir / "coordinator/hearth.db", job, options.job_runs)
        print(f"{options.job_runs} job runs written in {time.monotonic() - begin:.0f} s", flush=True)
        up.log.unlink()
        up.start()
        waits = jobs.start(jobs.put("waits.py", WAITS), f"s3://{jobs.bucket}/go-on")

        def both_run():
            found = workers(up.data_dir)
            return found if jobs.get(waits)["state"] == "RUNNING" and len(found) == 2 else None
        before = set(wait_for("a driver and an executor", both_run, 300))
        disk = Disk(up.data_dir).measure()
        served, ready, adopted, attached = [], [], [], []
        for _ in range(options.rounds):
            for times, time_taken in zip((served, ready), restart_coordinator(up, jobs, waits)):
                times.append(time_taken)
            for times, time_taken in zip((adopted, attached), restart_agent(up, len(before))):
                times.append(time_taken)
        disk.measure()
        after = set(workers(up.data_dir))
        jobs.s3.put_object(Bucket=jobs.bucket, Key="go-on", Body=b"")
        run = jobs.wait(waits)
        undisturbed = before == after and run.get("attempt", 1) == 1 and jobs.log(waits).strip() == "sum 499500"
        print(f"{options.job_runs} ended job runs in the store, slowest of {options.rounds}; {machine()}; {disk}")
        print(f"`hearth up` ready again, the agent in contact: {max(ready):.2f} s after the restart began")

        def tell(name, times):
            bars.tell(name, f"{max(times):.2f} s", f"at most {LIMIT} s", max(times) <= LIMIT)
        tell("coordinator killed, serving again", served)
        tell("agent killed, workers adopted", adopted)
        tell("agent killed, workers reported to the coordinator", attached)
        bars.tell("the running job", "same processes, one attempt, right result" if undisturbed else f"disturbed: {before} {after} {run}",
                  "undisturbed", undisturbed)
    bars.exit()


if __name__ == "__main__":
    main()
