"""Hosts out of contact for longer than a lease: ways to lose one, and what has to come of it (design §9). Each story says what
it sees, with its moment.
"""

import json
import signal
import textwrap
import time
from dataclasses import dataclass

from hosts import ATTACHED
from lab import JOB_DEADLINE, wait_for
from sightings import Sightings

# A shuffle, eight tasks of half a lease each, and an output that a second writer would spoil: a row that is there twice makes a sum wrong.
NUMBERS, KEYS = 480, 7
JOB = textwrap.dedent(f"""
    import sys, time
    from operator import add
    from pyspark.sql import SparkSession
    spark, pause = SparkSession.builder.getOrCreate(), float(sys.argv[2])
    def slowly(number):
        time.sleep(pause)
        return number % {KEYS}, number
    sums = spark.sparkContext.parallelize(range({NUMBERS}), 8).map(slowly).reduceByKey(add, 3)
    spark.createDataFrame(sums, "key int, total long").write.mode("overwrite").json(sys.argv[1])
    """)
EXPECTED = {key: sum(range(key, NUMBERS, KEYS)) for key in range(KEYS)}

# One failed task that counted against the job would end it.
CONF = {"spark.task.maxFailures": "1"}
# One executor beside the driver, one on the other host.
OVER_TWO_HOSTS = CONF | {"spark.executor.instances": "2"}


@dataclass(frozen=True)
class Lengths:
    """How long hosts may be out of contact, in seconds."""
    heartbeat: float = 5
    lease: float = 30
    skew: float = 5
    lost_after: float = 600

    def settings(self):
        keys = {"heartbeat_ms": self.heartbeat, "lease_ms": self.lease, "lease_skew_ms": self.skew, "lost_after_ms": self.lost_after}
        return "".join(f"{key} = {round(seconds * 1000)}\n" for key, seconds in keys.items())

    def over_after(self):
        """From the last contact until the lease is surely over."""
        return self.lease * 1.01 + self.skew


def attach_anew(host, start):
    attached = host.agent.times(ATTACHED)
    start()
    wait_for(f"agent {host.id} to attach again", lambda: host.agent.times(ATTACHED) > attached, 60)


# What happens to a host, and how it ends.
LOSSES = {
    "its agent is stopped": (lambda host: host.agent.process.send_signal(signal.SIGSTOP),
                             lambda host: host.agent.process.send_signal(signal.SIGCONT)),
    "its agent is killed": (lambda host: host.agent.kill(), lambda host: attach_anew(host, host.start)),
    "its link is down": (lambda host: host.cut(), lambda host: host.mend()),
}


class Story:
    """One job run whose driver's host is lost and comes back."""

    def __init__(self, cluster, jobs, lengths, loss, said=print):
        self.cluster, self.jobs, self.lengths, self.said = cluster, jobs, lengths, said
        self.loss, (self.lose, self.bring_back) = loss, LOSSES[loss]
        self.is_lost = False

    def begin(self, conf):
        """Starts the job run, which may have two attempts; its tasks are under way when this returns."""
        self.cluster.become_idle()
        self.output = f"out/{time.monotonic_ns()}/"
        self.job = self.jobs.start(self.jobs.put("lease.py", JOB), f"s3://{self.jobs.bucket}/{self.output}",
                                   self.lengths.lease / 120, conf=conf, retryPolicy={"maxAttempts": 2})
        wanted = int(conf.get("spark.executor.instances", "1"))

        def are_under_way():
            progress = json.loads(self.cluster.run("explain", self.job, "--json").stdout)["progress"]
            return progress and progress["tasks"]["active"] >= wanted
        wait_for("tasks under way", are_under_way, 3 * JOB_DEADLINE, interval=1)
        self.here, [self.other] = self.cluster.host_of_driver()
        return Sightings(self.cluster, self.job, self.said)

    def host_is_lost(self, seen):
        """Until the driver is frozen, which must be before its lease is over; answers from when that counted."""
        seen.moment(1, "RUNS", 10)
        seen.note(f"host {self.here.number}: {self.loss}")
        self.is_lost = True
        self.lose(self.here)
        frozen = seen.moment(1, "FROZEN", self.lengths.lease + self.lengths.heartbeat)
        began = seen.lease_began(1)
        seen.note(f"the lease ends; it counts from {began - seen.began:.2f} s", began + self.lengths.lease)
        assert frozen < began + self.lengths.lease, f"frozen {frozen - began:.2f} s after the last contact"
        silence = f"(agent {self.here.id}) is out of contact since"
        wait_for("the job run to say so", lambda: silence in self.jobs.get(self.job)["stateDetails"], self.lengths.lease)
        return began

    def host_is_back(self, seen):
        seen.note(f"host {self.here.number} comes back")
        self.bring_back(self.here)
        self.is_lost = False

    def ended_well(self, seen, attempt):
        run = self.jobs.wait(self.job)
        seen.note(f"the job run ended as {run['state']} in attempt {run.get('attempt', 1)}")
        assert run.get("attempt", 1) == attempt
        assert self.written() == EXPECTED
        assert seen.violations == []

    def written(self):
        found = {}
        for key in self.jobs.keys(self.output):
            for row in map(json.loads, self.jobs.text(key).splitlines() if "/part-" in key else []):
                found[row["key"]] = found.get(row["key"], 0) + row["total"]
        return found

    def replaced(self):
        """Another attempt goes on elsewhere, and the first one never runs again."""
        with self.begin(CONF) as seen:
            try:
                began = self.host_is_lost(seen)
                seen.moment(2, "RUNS", self.lengths.over_after() + 60)
                second = seen.driver(2)
                waited = second.started - began
                assert waited >= self.lengths.over_after(), f"replaced {waited:.2f} s after the last contact"
                assert second.host == self.other.number
                self.host_is_back(seen)
                seen.moment(1, "GONE", 60)
                assert seen.states(1) == ["RUNS", "FROZEN", "GONE"]
                self.ended_well(seen, attempt=2)
            finally:
                self.mend()

    def waited_for(self, frozen_for):
        """Nobody can go on elsewhere, since the other host is being drained: the driver waits, and goes on."""
        with self.begin(OVER_TWO_HOSTS) as seen:
            self.cluster.run("agent", "drain", self.other.id)
            try:
                self.host_is_lost(seen)
                time.sleep(frozen_for)
                assert seen.states(1) == ["RUNS", "FROZEN"]
                self.host_is_back(seen)
                wait_for("the driver to go on", lambda: seen.states(1) == ["RUNS", "FROZEN", "RUNS"], 60)
                self.ended_well(seen, attempt=1)
            finally:
                self.mend()
                self.cluster.run("agent", "undrain", self.other.id)

    def mend(self):
        if self.is_lost:
            self.bring_back(self.here)
