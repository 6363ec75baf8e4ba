"""The coordinator dies in the middle of a job and comes back: the job does not notice."""

import os
import textwrap

import pytest
from lab import BUNDLE_DEADLINE, JOB_DEADLINE, RELEASE, Hearth, Jobs, client_of, served, wait_for

WRITER = textwrap.dedent("""
    import sys, time
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f
    spark = SparkSession.builder.getOrCreate()
    table = f"s3://{sys.argv[1]}/tables/slow"
    def slowly(rows):
        import time
        for row in rows:
            time.sleep(0.25)
            yield row
    rows = spark.range(0, 60, 1, 3).rdd.mapPartitions(slowly).toDF()
    rows.write.mode("overwrite").parquet(table)
    print("sum", spark.read.parquet(table).agg(f.sum("id")).first()[0])
    """)


@pytest.fixture
def other():
    """A hearth of its own: it is going to be killed."""
    yield from served(Hearth("restart"))


def test_a_job_outlives_its_coordinator(other):
    emr, s3 = client_of(other, "emr-serverless"), client_of(other, "s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="mid-write")
    application = emr.create_application(name="restart", releaseLabel=RELEASE, type="SPARK")["applicationId"]
    jobs = Jobs(emr, s3, application, other.settings()["HEARTH_ROLE_ARN"], "mid-write")
    job = jobs.start(jobs.put("writer.py", WRITER), jobs.bucket)
    jobs.wait_until(job, "RUNNING", lambda run: run["state"] == "RUNNING", BUNDLE_DEADLINE)

    def tasks():
        progress = other.run("explain", job, "--json").stdout
        return '"active": 1' in progress
    wait_for("a task of the write", tasks, JOB_DEADLINE)
    drivers = worker_processes(other)
    assert drivers, "no worker is running"
    other.kill()
    assert worker_processes(other) == drivers, "workers died with the coordinator"
    other.start()
    run = jobs.wait(job)
    assert run.get("attempt", 1) == 1
    assert jobs.log(job).strip().endswith("sum 1770")
    # The answered request of before the crash is still there, and only once.
    listed = [one["id"] for one in emr.list_job_runs(applicationId=application)["jobRuns"]]
    assert listed == [job]


def worker_processes(hearth):
    """Ids of the JVMs whose files lie in this hearth's data directory."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                command = open(f"/proc/{entry}/cmdline", "rb").read()
                environment = open(f"/proc/{entry}/environ", "rb").read()
            except OSError:
                continue
            if b"io.hearth.launcher.Main" in command and _belongs(entry, environment, hearth):
                found.add(int(entry))
    return found


def _belongs(pid, environment, hearth):
    where = str(hearth.data_dir).encode()
    if where in environment:
        return True
    try:
        # In a mount namespace of its own, the worker's files are open under the host's names in its mount table.
        return where in open(f"/proc/{pid}/mountinfo", "rb").read()
    except OSError:
        return False
