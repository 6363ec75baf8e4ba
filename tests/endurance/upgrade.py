#!/usr/bin/env python3
"""Rehearses an upgrade: the daemons of an earlier version, a long Spark job, the present daemons over the same data.

usage: python3 tests/endurance/upgrade.py [--from TAG-OR-COMMIT | --from-dist DIR] [--to TAG-OR-COMMIT | --to-dist DIR]
                                          [--only daemons|up]

Two rehearsals, one after the other. `daemons`: a coordinator and two hosts; the coordinator is stopped in good order and
away for longer than a lease, then one agent is stopped in good order and the other killed, and an executor that is killed
is replaced by one of the new version. `up`: a `hearth up` that is killed, and the new one, which replaces the agent too.
In both the job must end as SUCCESS, in its first attempt, with the right result and no failed task; what had ended before
is as it was; nothing may be left.

The earlier version is the last tag `v0.N` unless said otherwise. A version named by tag or commit is built once, with its
own `deploy/build.sh` (`HEARTH_PROFILE` chooses the profile), into `~/.cache/hearth/upgrade`. The present one is
`target/dist` of this checkout. Wants root (network namespaces, control groups) and the Python of `tests/run.sh`.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "several_hosts")]

import hosts
import watch
from lab import BUNDLE_DEADLINE, CACHE, DIST, RELEASE, ROOT, Hearth, Jobs, client_of, wait_for

BUILDS = CACHE / "upgrade"
BUCKET = "upgrade"
# Shorter than a coordinator's upgrade takes here, so that it is the extension which holds the leases.
LEASE_SECONDS, AWAY_SECONDS = 20, 30
LEASES = f"lease_ms = {1000 * LEASE_SECONDS}\nlease_extension_ms = 300000\n"
ROUNDS, NUMBERS, KEYS = 20, 40, 7
# For each thing that is waited for; a machine may be slow, and nothing here is about speed.
PATIENCE = 600

# Rounds with a shuffle each until it is told to finish, but not fewer than were asked for.
JOB = textwrap.dedent(f"""
    import sys
    from operator import add
    from pyspark.sql import SparkSession
    place, rounds = sys.argv[1], int(sys.argv[2])
    spark = SparkSession.builder.getOrCreate()
    sc = spark.sparkContext
    Path = sc._jvm.org.apache.hadoop.fs.Path
    files = Path(place).getFileSystem(sc._jsc.hadoopConfiguration())
    def slowly(number):
        import time
        time.sleep(0.05)
        return number % {KEYS}, number
    done, totals = 0, {{}}
    while done < rounds or not files.exists(Path(place + "/finish")):
        for key, sum in sc.parallelize(range({NUMBERS}), 4).map(slowly).reduceByKey(add, 3).collect():
            totals[key] = totals.get(key, 0) + sum
        done += 1
        files.create(Path(f"{{place}}/rounds/{{done}}")).close()
    rows = [(key, total, done) for key, total in totals.items()]
    spark.createDataFrame(rows, "key int, total long, rounds int").write.json(place + "/out")
    """)
CONF = {"spark.executor.instances": "2", "spark.task.maxFailures": "1"}


def say(text):
    print(f"upgrade: {text}", flush=True)


def git(*words):
    return subprocess.run(["git", "-C", ROOT, *words], text=True, capture_output=True)


def last_tag():
    """The last tag of a version before this commit; none if there never was one."""
    described = git("describe", "--tags", "--abbrev=0", "--match", "v0.*", "HEAD^")
    return described.stdout.strip() if described.returncode == 0 else None


def built(name):
    """The tree that `deploy/build.sh` of that version made."""
    found = git("rev-parse", "--verify", f"{name}^{{commit}}")
    if found.returncode != 0:
        sys.exit(f"upgrade: {name} is no commit of {ROOT}: {found.stderr.strip()}")
    commit, profile = found.stdout.strip(), os.environ.get("HEARTH_PROFILE", "release")
    place = BUILDS / commit / profile
    if not (place / "bin/hearth").exists():
        say(f"building {name} ({commit}, {profile})")
        source = BUILDS / commit / "source"
        shutil.rmtree(source, ignore_errors=True)
        git("worktree", "prune")
        added = git("worktree", "add", "--force", "--detach", source, commit)
        try:
            assert added.returncode == 0, added.stderr
            subprocess.run([source / "deploy/build.sh"], check=True)
            shutil.copytree(source / "target/dist", place.with_suffix(".new"), dirs_exist_ok=True)
            place.with_suffix(".new").rename(place)
        finally:
            git("worktree", "remove", "--force", source)
    return place


def version(dist):
    """What its daemons say of themselves."""
    words = [subprocess.run([dist / "bin" / name, "--version"], text=True, capture_output=True, check=True).stdout.strip()
             for name in ("hearth-coordinator", "hearth-agent")]
    return "; ".join(words)


class LongJob:
    """A job run that goes on until it is told to finish."""

    def __init__(self, hearth):
        emr, s3 = client_of(hearth, "emr-serverless"), client_of(hearth, "s3", s3={"addressing_style": "path"})
        s3.create_bucket(Bucket=BUCKET)
        application = emr.create_application(name=BUCKET, releaseLabel=RELEASE, type="SPARK")["applicationId"]
        self.jobs = Jobs(emr, s3, application, hearth.settings()["HEARTH_ROLE_ARN"], BUCKET)
        say("a first job run, which pays for the release")
        self.earlier = self.jobs.run(self.jobs.put("first.py", "print('here')"), deadline=BUNDLE_DEADLINE)
        self.id = self.jobs.start(self.jobs.put("job.py", JOB), f"s3://{BUCKET}/long", ROUNDS, conf=CONF,
                                  retryPolicy={"maxAttempts": 5})
        self.go_on()

    def rounds(self):
        return len(self.jobs.keys("long/rounds/"))

    def go_on(self):
        """Waits until it has made progress from here on: more than what was under way."""
        before = self.rounds()
        self.jobs.wait_until(self.id, "more rounds", lambda run: self.rounds() >= before + 2, PATIENCE)

    def finish(self):
        """Lets it end, and judges what it did."""
        self.jobs.s3.put_object(Bucket=BUCKET, Key="long/finish", Body=b"")
        run = self.jobs.wait(self.id, deadline=PATIENCE)
        assert run.get("attempt", 1) == 1, f"attempt {run['attempt']}"
        parts = [key for key in self.jobs.keys("long/out/") if "/part-" in key]
        rows = [json.loads(line) for key in parts for line in self.jobs.text(key).splitlines()]
        rounds = self.rounds()
        expected = {key: rounds * sum(range(key, NUMBERS, KEYS)) for key in range(KEYS)}
        assert {row["key"]: row["total"] for row in rows} == expected and len(rows) == KEYS, rows
        failed = [event for event in self.jobs.events(self.id)
                  if event["Event"] == "SparkListenerTaskEnd" and event["Task Info"]["Failed"]]
        assert failed == [], failed
        say(f"SUCCESS in the first attempt, {rounds} rounds, the right sums")
        assert self.jobs.get(self.earlier["jobRunId"]) == self.earlier, "a job run that had ended is not as it was"
        self.jobs.run(self.jobs.put("last.py", "print('still here')"), deadline=PATIENCE)


def daemons(old, new):
    """Coordinator, then agents, while the job runs on two hosts."""
    cluster = hosts.Cluster(settings=LEASES, dist=old)
    try:
        cluster.start()
        job = LongJob(cluster)
        before = cluster.workers()
        assert len(before) == 3, before
        here, [there] = cluster.host_of_driver()

        say(f"the coordinator is stopped in good order, and away for {AWAY_SECONDS} s; leases are of {LEASE_SECONDS} s")
        stopped = time.monotonic()
        assert cluster.coordinator.kill(signal.SIGTERM) == 0, cluster.tail()
        time.sleep(stopped + AWAY_SECONDS - time.monotonic())
        attached = {host: host.agent.times(hosts.ATTACHED) for host in cluster.hosts}
        cluster.dist = cluster.coordinator.dist = new
        cluster.start_coordinator()
        for host in cluster.hosts:
            wait_for(f"agent {host.id}", lambda host=host: host.agent.times(hosts.ATTACHED) > attached[host], hosts.START_DEADLINE)
            assert host.agent.times("the coordinator extends all leases") == 1, cluster.tail()
            assert host.agent.times("the coordinator is out of reach, a lease ends") == 0, cluster.tail()
        job.go_on()

        for host, with_signal in ((here, signal.SIGTERM), (there, signal.SIGKILL)):
            say(f"an agent is ended by {with_signal.name} and replaced")
            host.agent.kill(with_signal)
            assert cluster.workers() == before, "workers did not outlive their agent"
            host.agent.dist = new
            start = host.agent.times(hosts.ATTACHED)
            host.start()
            wait_for(f"agent {host.id}", lambda: host.agent.times(hosts.ATTACHED) > start, hosts.START_DEADLINE)
            assert host.agent.times("worker adopted") == len(host.workers()), cluster.tail()
            job.go_on()
        assert cluster.workers() == before

        say("an executor is killed; its replacement is of the new version")
        [(killed, pid)] = there.workers("SPARK_EXECUTOR").items()
        os.kill(pid, signal.SIGKILL)
        wait_for("another executor", lambda: [
            worker for host in cluster.hosts for worker in host.workers("SPARK_EXECUTOR") if worker != killed][1:], PATIENCE)
        job.go_on()
        job.finish()
        cluster.become_idle()
    finally:
        cluster.stop()
    left = hosts.leftovers(cluster)
    assert left == [], left


def up(old, new):
    """A `hearth up` that was killed, and the new one over its data."""
    hearth = Hearth("upgrade", dist=old)
    try:
        hearth.start()
        job = LongJob(hearth)
        workers = watch.workers(hearth.data_dir)
        assert len(workers) == 3, workers
        former = watch.daemons(hearth.data_dir, "hearth-agent")[0]

        say("`hearth up` is killed, and the new one started")
        hearth.kill()
        hearth.dist = new
        hearth.start()
        agent = watch.daemons(hearth.data_dir, "hearth-agent")[0]
        program = Path(f"/proc/{agent.pid}/exe").readlink()
        assert program == (new / "bin/hearth-agent").resolve(), f"the agent is still {program}"
        assert not former.is_alive()
        job.go_on()
        assert set(watch.workers(hearth.data_dir)) == set(workers)
        job.finish()
        wait_for("nothing to be left", lambda: not watch.leftovers(hearth.data_dir), 60)
        hearth.stop()
    except BaseException:
        print(hearth.tail())
        with contextlib.suppress(AssertionError):
            hearth.stop()
        raise
    hearth.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="old", metavar="TAG-OR-COMMIT", help="the last tag v0.N before this commit by default")
    parser.add_argument("--from-dist", type=Path, metavar="DIR", help="an earlier version that is built already")
    parser.add_argument("--to", metavar="TAG-OR-COMMIT")
    parser.add_argument("--to-dist", type=Path, metavar="DIR", default=DIST, help="target/dist by default")
    parser.add_argument("--only", choices=["daemons", "up"])
    options = parser.parse_args()
    old_name = options.old or last_tag()
    if not (options.from_dist or old_name):
        sys.exit("upgrade: there is no tag v0.N before this commit; say what to start with by --from or --from-dist")
    old = options.from_dist or built(old_name)
    new = built(options.to) if options.to else options.to_dist
    old, new = old.resolve(), new.resolve()
    for role, dist in ("from", old), ("to", new):
        say(f"{role} {dist}: {version(dist)}")
    for rehearsal in (daemons, up):
        if options.only in (None, rehearsal.__name__):
            began = time.monotonic()
            rehearsal(old, new)
            say(f"{rehearsal.__name__}: passed after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
