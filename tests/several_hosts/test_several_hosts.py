"""One Spark job over two hosts, and what happens to it when parts of a host fail."""

import json
import os
import signal
import subprocess
import textwrap
import time
from collections import Counter

import pytest
from hosts import ATTACHED, START_DEADLINE
from lab import HEARTH, wait_for

# Groups numbers, slowly if wanted: a shuffle, so that each executor needs what the others have.
GROUPS = textwrap.dedent("""
    import json, sys, time
    from pyspark.sql import SparkSession
    numbers, pause = int(sys.argv[1]), float(sys.argv[2])
    sc = SparkSession.builder.getOrCreate().sparkContext
    def slowly(number):
        time.sleep(pause)
        return number % 7, number
    sums = sc.parallelize(range(numbers), 8).map(slowly).reduceByKey(lambda one, other: one + other, 4)
    counted = sums.map(lambda pair: (str(pair[0]), pair[1])).collectAsMap()
    print(json.dumps(counted, sort_keys=True))
    """)

# A tenth of a second each: eight tasks of 7.5 s, two at a time.
NUMBERS = 600
# Longer than a heartbeat takes, and much shorter than a lease.
CUT_SECONDS = 8

# One task at a time on each of two executors: one fits beside the driver, one is on the other host. One failed task that
# counted against the job would end it.
OVER_TWO_HOSTS = {"spark.executor.instances": "2", "spark.task.maxFailures": "1"}


def groups_of(numbers):
    """What the job prints."""
    sums = Counter()
    for number in range(numbers):
        sums[str(number % 7)] += number
    return json.dumps(dict(sums), sort_keys=True)


def hosts_of_executors(jobs, job):
    return {event["Executor Info"]["Host"] for event in jobs.events(job) if event["Event"] == "SparkListenerExecutorAdded"}


def shuffled_from_elsewhere(jobs, job):
    """Bytes that executors fetched from each other."""
    ends = [event for event in jobs.events(job) if event["Event"] == "SparkListenerTaskEnd"]
    return sum(end["Task Metrics"]["Shuffle Read Metrics"]["Remote Bytes Read"] for end in ends)


@pytest.fixture
def busy(cluster, jobs):
    """A job whose tasks are under way on both hosts, for some time to come."""
    cluster.become_idle()
    job = jobs.start(jobs.put("groups.py", GROUPS), NUMBERS, 0.1, conf=OVER_TWO_HOSTS)

    def both_work():
        progress = json.loads(cluster.run("explain", job, "--json").stdout)["progress"]
        return progress and progress["tasks"]["active"] >= 2 and progress["tasks"]["completed"] >= 1
    jobs.wait_until(job, "tasks on both hosts", lambda run: both_work())
    return job


def finished(jobs, job):
    """The job run, which must have ended well, in its first attempt and with the right result."""
    run = jobs.wait(job)
    assert jobs.log(job).strip().endswith(groups_of(NUMBERS))
    assert run.get("attempt", 1) == 1
    return run


def test_one_job_runs_on_two_hosts_with_a_shuffle_between_them(cluster, jobs):
    cluster.become_idle()
    job = jobs.start(jobs.put("groups.py", GROUPS), 10_000, 0, conf=OVER_TWO_HOSTS)
    jobs.wait(job)
    assert jobs.log(job).strip() == groups_of(10_000)
    assert hosts_of_executors(jobs, job) == {host.address for host in cluster.hosts}
    assert shuffled_from_elsewhere(jobs, job) > 0
    complaints = [line for line in jobs.log(job, "stderr").splitlines() if "SPARK_LOCAL_IP" in line or "loopback" in line]
    assert complaints == []


def test_an_agent_killed_and_started_again_adopts_its_workers(cluster, jobs, busy):
    here, _ = cluster.host_of_driver()
    before = cluster.workers()
    assert len(before) == 3
    here.agent.kill()
    assert cluster.workers() == before, "workers died with their agent"
    attached = here.agent.times(ATTACHED)
    here.start()
    wait_for("the agent to attach again", lambda: here.agent.times(ATTACHED) > attached, START_DEADLINE)
    assert cluster.workers() == before
    finished(jobs, busy)


def test_a_drained_host_gets_no_workers_until_it_is_taken_back(cluster, jobs):
    cluster.become_idle()
    drained, other = cluster.hosts
    cluster.run("agent", "drain", drained.id)
    job = jobs.start(jobs.put("groups.py", GROUPS), 1000, 0, conf={"spark.executor.instances": "1"})
    jobs.wait(job)
    assert hosts_of_executors(jobs, job) == {other.address}
    assert json.loads(cluster.run("agent", "describe", drained.id, "--json").stdout)["standing"] == "DRAINING"
    assert cluster.run("agent", "undrain", drained.id).stdout == f"{drained.id} is IN_SERVICE, with 0 workers\n"


def test_executors_killed_from_outside_are_replaced_at_nobodys_charge(cluster, jobs, busy):
    _, [other] = cluster.host_of_driver()
    [killed] = other.workers("SPARK_EXECUTOR").items()
    os.kill(killed[1], signal.SIGKILL)

    def replaced():
        return [worker for host in cluster.hosts for worker in host.workers("SPARK_EXECUTOR") if worker != killed[0]][1:]
    jobs.wait_until(busy, "another executor", lambda run: replaced())
    finished(jobs, busy)


def test_a_host_cut_off_for_seconds_goes_on(cluster, jobs, busy):
    _, [other] = cluster.host_of_driver()
    workers = other.workers()
    other.cut()
    try:
        assert not other.has_link()
        time.sleep(CUT_SECONDS)
    finally:
        other.mend()
    finished(jobs, busy)
    lost = [event for event in jobs.events(busy) if event["Event"] == "SparkListenerExecutorRemoved"]
    assert workers and lost == []


def test_a_backup_made_while_a_job_runs_brings_the_coordinator_back(cluster, jobs, busy):
    backup = cluster.home / "backup.tar.zst"
    cluster.run("backup", "--data-dir", cluster.data_dir, backup)
    listed = states_of(jobs)
    assert listed[busy] == "RUNNING"
    cluster.coordinator.kill()
    attached = [host.agent.times(ATTACHED) for host in cluster.hosts]
    cluster.data_dir.rename(cluster.home / "lost")
    subprocess.run([HEARTH, "restore", "--data-dir", cluster.data_dir, backup], check=True, capture_output=True, timeout=60)
    cluster.start_coordinator()
    wait_for("all agents", lambda: all(host.agent.times(ATTACHED) > before for host, before in zip(cluster.hosts, attached)),
             START_DEADLINE)
    finished(jobs, busy)
    assert states_of(jobs) == listed | {busy: "SUCCESS"}


def states_of(jobs):
    pages = jobs.emr.get_paginator("list_job_runs").paginate(applicationId=jobs.application)
    return {run["id"]: run["state"] for page in pages for run in page["jobRuns"]}
