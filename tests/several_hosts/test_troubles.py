"""A name server that is gone, an object store that is slow or refuses, a clock that jumps: none of it is the job's trouble.

Each test has a job run that logs while it lasts and then computes something. It must end in its first attempt, on time, and with
every line of its log, each once.
"""

import os
import textwrap
import time
from datetime import datetime
from pathlib import Path

import pytest
from hosts import ATTACHED, START_DEADLINE
from lab import wait_for

# Three quarters of a minute: logs are shipped every 15 s.
LINES = 450
JOB = textwrap.dedent("""
    import sys, time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    for number in range(int(sys.argv[1])):
        print("line", number, flush=True)
        time.sleep(0.1)
    print("sum", spark.sparkContext.parallelize(range(1000), 4).sum(), flush=True)
    """)
# Half as long again as logs are refreshed after, and for a machine that has much else to do.
SHIPPED_WITHIN = 60
SLOW_SECONDS = 8
HOURS = 3600
INOTIFY = "anon_inode:inotify"


class Run:
    """A job run that has shipped the beginning of its log, and will log on for a while."""

    def __init__(self, cluster, jobs, lines=LINES):
        self.cluster, self.jobs = cluster, jobs
        self.expected = [f"line {number}" for number in range(lines)] + [f"sum {sum(range(1000))}"]
        [self.host] = cluster.hosts
        cluster.become_idle()
        self.job = jobs.start(jobs.put("lines.py", JOB), lines)
        self.jobs.wait_until(self.job, "the beginning of its log", lambda run: self.shipped())

    def shipped(self):
        """The lines in the object store, by whatever the daemons' clock says."""
        environment = self.cluster.environment() | self.cluster.clock.environment
        return self.cluster.run("logs", self.job, check=False, env=environment).stdout.splitlines()

    def ships_on(self, what):
        before = len(self.shipped())
        wait_for(f"more of the log {what}", lambda: len(self.shipped()) > before, SHIPPED_WITHIN)

    def logged(self):
        """How many lines the driver wrote, as its host holds them."""
        [driver] = self.host.workers("SPARK_DRIVER")
        return len((self.host.state / "workers" / driver / "logs/stdout").read_text().splitlines())

    def driver_ends(self):
        wait_for("the driver's end", lambda: not self.host.workers("SPARK_DRIVER"), 120)

    def ended_well(self):
        run = self.jobs.wait(self.job)
        assert self.jobs.log(self.job).splitlines() == self.expected
        assert run.get("attempt", 1) == 1
        assert "logs" not in run["stateDetails"], run["stateDetails"]


@pytest.fixture
def run(troubled):
    return Run(*troubled)


def test_without_a_name_server_a_job_goes_on_and_its_log_comes_later(run):
    cluster, agent = run.cluster, run.host.agent
    cluster.names.stop()
    # Only what has no connection needs a name.
    agent.kill()
    missed, attached = agent.times("coordinator not reached"), agent.times(ATTACHED)
    agent.start()
    try:
        wait_for("the agent to look for its coordinator", lambda: agent.times("coordinator not reached") > missed, 60)
        run.driver_ends()
        assert run.jobs.get(run.job)["state"] == "RUNNING"
        assert run.shipped() != run.expected
    finally:
        cluster.names.start()
    wait_for("the agent to attach again", lambda: agent.times(ATTACHED) > attached, START_DEADLINE)
    run.ended_well()


def test_log_shipping_survives_the_loss_of_the_stores_name_while_its_agent_is_in_contact(run):
    cluster, agent = run.cluster, run.host.agent
    attached = agent.times(ATTACHED)
    cluster.names.stop()
    # Connections that are open need no name.
    cluster.door.stop()
    cluster.door.start()
    try:
        run.driver_ends()
        assert run.jobs.get(run.job)["state"] == "RUNNING"
    finally:
        cluster.names.start()
    run.ended_well()
    assert agent.times(ATTACHED) == attached


def test_a_store_that_takes_seconds_to_answer_delays_the_log_alone(run):
    door = run.cluster.door
    passed, door.delay = door.passed, SLOW_SECONDS
    try:
        run.ended_well()
        assert door.passed > passed
    finally:
        door.delay = 0


def test_a_store_that_refuses_for_a_while_gets_the_log_later(run):
    door = run.cluster.door
    refused = door.refused
    door.stop()
    try:
        # Refused connections while it runs, and answers of 503 when it has ended.
        wait_for("more output", lambda: run.logged() > LINES * 3 // 4, 120)
        door.is_unavailable = True
        door.start()
        run.driver_ends()
        wait_for("refusals", lambda: door.refused > refused, SHIPPED_WITHIN)
        assert run.jobs.get(run.job)["state"] == "RUNNING"
    finally:
        door.is_unavailable = False
    run.ended_well()


def test_a_clock_that_jumps_hours_ahead_and_back_disturbs_nothing(troubled):
    cluster, jobs = troubled
    # Logs are refreshed three times while it runs, and an agent is started.
    run = Run(cluster, jobs, 3 * LINES)
    clock, agent = cluster.clock, run.host.agent
    attached = agent.times(ATTACHED)
    try:
        clock.jump(3 * HOURS)
        run.ships_on("after the jump ahead")
        assert agent.times(ATTACHED) == attached, "the stream was given up"
        agent.kill()
        agent.start()
        wait_for("the agent to attach again", lambda: agent.times(ATTACHED) > attached, START_DEADLINE)
        assert last_said(agent, ATTACHED) - time.time() > 2 * HOURS
        assert last_said(cluster.coordinator, "agent attached") - time.time() > 2 * HOURS
        # All its connections are made: before its certificate's time it would get no new one.
        run.ships_on("by the agent that was started")
        clock.jump(-3 * HOURS)
        run.ships_on("after the jump back")
    finally:
        clock.jump(0)
    run.ended_well()
    assert agent.times(ATTACHED) == attached + 1, "the stream was given up"


def last_said(daemon, text):
    """When, by its own clock, in seconds since the epoch."""
    last = [line for line in daemon.log.read_text().splitlines() if text in line][-1]
    return datetime.fromisoformat(last.split()[0]).timestamp()


def test_no_process_of_hearth_or_of_a_job_needs_inotify(troubled):
    cluster, jobs = troubled
    [host] = cluster.hosts
    cluster.become_idle()
    job = jobs.start(jobs.put("lines.py", JOB), 100)
    wanted = {"hearth-agent", "hearth-keeper", "java"}
    jobs.wait_until(job, "all of its processes", lambda run: wanted <= {name for name, _ in seen_on(host)})
    watching = {name for name, files in seen_on(host) if INOTIFY in files}
    assert watching == set()
    assert INOTIFY not in open_files(cluster.coordinator.process.pid)
    jobs.wait(job)


def seen_on(host):
    """The processes of a host: what they are called, and what they have open."""
    found = []
    for pid in host.processes():
        try:
            found.append((Path(f"/proc/{pid}/comm").read_text().strip(), open_files(pid)))
        except (FileNotFoundError, ProcessLookupError):
            pass  # It ended meanwhile.
    return found


def open_files(pid):
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass  # It was closed meanwhile.
    return found
