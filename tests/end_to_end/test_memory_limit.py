"""A worker's memory limit is the kernel's: whoever exceeds it dies alone, and the job run says which limit it was."""

import textwrap

import os

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="limits are only advisory for an ordinary user")

# Touched page by page, in the Python process of the driver: Java's own heap limit does not see it.
GREEDY = textwrap.dedent("""
    held = []
    while True:
        held.append(bytearray(64 << 20))
        for at in range(0, 64 << 20, 4096):
            held[-1][at] = 1
        print(len(held) * 64, flush=True)
    """)


def test_a_driver_over_its_limit_fails_and_the_limit_is_named(jobs):
    run = jobs.run(jobs.put("greedy.py", GREEDY), expect="FAILED")
    details = run["stateDetails"]
    assert "memory" in details.lower(), details
    assert "2" in details and ("GB" in details or "GiB" in details or "MiB" in details), details
    # What it wrote before its death is there (promise P9).
    written = [int(line) for line in jobs.log(run["jobRunId"]).splitlines()]
    assert written and written == list(range(64, 64 * len(written) + 1, 64))
    assert written[-1] < 2048 + 64


def test_an_executor_over_its_limit_is_replaced_and_the_job_goes_on(jobs):
    job = jobs.run(jobs.put("greedy_task.py", textwrap.dedent("""
        import sys
        from pyspark.sql import SparkSession
        from pyspark import TaskContext
        spark = SparkSession.builder.getOrCreate()
        def task(number):
            if number == 0 and TaskContext.get().attemptNumber() == 0:
                held = bytearray(4 << 30)
                for at in range(0, len(held), 4096):
                    held[at] = 1
            return number
        print("sum", spark.sparkContext.parallelize(range(4), 4).map(task).sum())
        """)))["jobRunId"]
    assert jobs.log(job).splitlines() == ["sum 6"]
    removed = [event for event in jobs.events(job) if event["Event"] == "SparkListenerExecutorRemoved"]
    assert any("memory" in event["Removed Reason"].lower() for event in removed), removed
