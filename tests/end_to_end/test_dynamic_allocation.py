"""Executors come and go: asked for when tasks wait, given back when they idle, and lost in the middle of a shuffle."""

import json
import os
import signal
import textwrap

from endurance import watch
from lab import JOB_DEADLINE, wait_for

SCRIPT = textwrap.dedent("""
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    tracker = spark.sparkContext._jsc.sc().statusTracker
    def executors():
        # The driver is one of them in this list.
        return spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
    def until(wanted, deadline):
        end = time.monotonic() + deadline
        while executors() != wanted:
            if time.monotonic() > end:
                raise SystemExit(f"{executors()} executors, not {wanted}, after {deadline} s")
            time.sleep(0.1)
        print("executors", wanted, flush=True)
    def busy(_):
        import time
        time.sleep(4)
        return 1
    until(1, 30)
    import threading
    work = threading.Thread(target=lambda: spark.sparkContext.parallelize(range(6), 6).map(busy).sum())
    work.start()
    until(2, 60)
    work.join()
    until(0, 60)
    print("sum", spark.sparkContext.parallelize(range(10), 2).sum(), flush=True)
    """)


def test_executors_grow_with_the_work_and_shrink_without(jobs):
    job = jobs.run(jobs.put("breathing.py", SCRIPT), conf={
        "spark.dynamicAllocation.enabled": "true", "spark.executor.instances": None,
        "spark.dynamicAllocation.initialExecutors": "1", "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.maxExecutors": "2", "spark.dynamicAllocation.executorIdleTimeout": "3s",
        "spark.dynamicAllocation.schedulerBacklogTimeout": "1s"})["jobRunId"]
    assert jobs.log(job).splitlines() == ["executors 1", "executors 2", "executors 0", "sum 45"]
    # It asked for a new one after it had given back all: no id is used twice.
    added = [event["Executor ID"] for event in jobs.events(job) if event["Event"] == "SparkListenerExecutorAdded"]
    assert len(added) == len(set(added)) >= 3, added


ROWS, KEYS, GROUPS, ROUNDS, LOST = 3000, 97, 7, 3, 3
# Two shuffles a round; rows are slow enough for executors to be lost in the middle of each.
SHUFFLES = textwrap.dedent(f"""
    import json, time
    from operator import add
    from pyspark.sql import SparkSession
    context = SparkSession.builder.getOrCreate().sparkContext
    def pair(row):
        import time
        time.sleep(0.003)
        return row * 7919 % {KEYS}, row
    def group(total):
        import time
        time.sleep(0.02)
        return total[0] % {GROUPS}, total[1]
    for number in range({ROUNDS}):
        rows = context.parallelize(range(number, {ROWS} + number), 8).map(pair).reduceByKey(add, 6)
        print(json.dumps(sorted(rows.map(group).reduceByKey(add, 4).collect())), flush=True)
    """)


def independently(number):
    """What a round must print, without any shuffle."""
    totals = [0] * GROUPS
    for row in range(number, ROWS + number):
        totals[row * 7919 % KEYS % GROUPS] += row
    return [[group, total] for group, total in enumerate(totals)]


def test_a_shuffle_that_loses_executors_in_the_middle_ends_right(jobs, hearth):
    job = jobs.start(jobs.put("shuffles.py", SHUFFLES), conf={
        "spark.dynamicAllocation.enabled": "true", "spark.executor.instances": None,
        "spark.dynamicAllocation.initialExecutors": "2", "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.maxExecutors": "2", "spark.dynamicAllocation.schedulerBacklogTimeout": "1s"})
    killed, done = set(), 0

    def has_work():
        """Executors that live while tasks get done, and how many are."""
        run = jobs.get(job)
        assert run["state"] not in {"SUCCESS", "FAILED"}, f"{run['state']} after {len(killed)} kills: {run['stateDetails']}"
        tasks = json.loads(hearth.run("explain", job, "--json").stdout)["progress"]["tasks"]["completed"]
        live = [one for one in watch.workers(hearth.data_dir)
                if one.job == job and one.kind == "SPARK_EXECUTOR" and one.id not in killed]
        return (live[0], tasks) if live and tasks >= done + 4 else None
    for _ in range(LOST):
        victim, done = wait_for("an executor in the middle of its work", has_work, JOB_DEADLINE)
        killed.add(victim.id)
        os.kill(victim.process.pid, signal.SIGKILL)
    jobs.wait(job)
    assert [json.loads(line) for line in jobs.log(job).splitlines()] == [independently(number) for number in range(ROUNDS)]
    removed = [event["Removed Reason"] for event in jobs.events(job) if event["Event"] == "SparkListenerExecutorRemoved"]
    assert sum("signal 9" in reason for reason in removed) == LOST, removed
