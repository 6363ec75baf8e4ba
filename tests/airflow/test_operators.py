"""Airflow's own operators and sensors for EMR Serverless run against hearth as they are, waiting and deferred."""

import gzip
import json
import signal
import sqlite3
import urllib.request

import pytest
from lab import JOB_DEADLINE, wait_for

MODES = pytest.mark.parametrize("mode", ["waiting", "deferred"])
KILL = """
import asyncio, sys
from airflow.providers.amazon.aws.triggers.emr import EmrServerlessStartJobTrigger
asyncio.run(EmrServerlessStartJobTrigger(*sys.argv[1:], waiter_delay=1, waiter_max_attempts=9, aws_conn_id=None).on_kill())
"""


def application_of(emr, dag):
    """The application that the DAG made; none if it has not yet."""
    pages = emr.get_paginator("list_applications").paginate()
    found = [one for page in pages for one in page["applications"] if one["name"] == dag]
    assert len(found) <= 1, found
    return found[0] if found else None


def job_runs_of(emr, dag):
    """The DAG's job runs by their names."""
    application = application_of(emr, dag)["id"]
    return {one["name"]: one for one in emr.list_job_runs(applicationId=application)["jobRuns"]}


def links_of(airflow, dag):
    """What Airflow shows beside a task, by task and kind of link."""
    with sqlite3.connect(airflow.directory / dag / "airflow.db") as database:
        rows = database.execute("select task_id, key, value from xcom where key like '\\_link\\_%' escape '\\'")
        return {(task, key.removeprefix("_link_")): json.loads(value) for task, key, value in rows}


@MODES
def test_a_dag_creates_runs_waits_stops_and_deletes(mode, airflow, emr, jobs):
    dag = f"word_counts_{mode}"
    done = airflow.run(dag)
    assert done.returncode == 0, done.stdout[-8000:]
    assert ("running trigger" in done.stdout) == (mode == "deferred")
    assert application_of(emr, dag)["state"] == "TERMINATED"
    states = {name: run["state"] for name, run in job_runs_of(emr, dag).items()}
    assert states == {"submit": "SUCCESS", "count": "SUCCESS", "endless": "CANCELLED"}
    for output in ("submitted", "counted"):
        assert f"{mode}/{output}/_SUCCESS" in jobs.keys(f"{mode}/{output}/")

    links = links_of(airflow, dag)
    log = urllib.request.urlopen(links["count", "EmrServerlessDashboardLink"], timeout=30).read()
    assert b"SparkListenerApplicationEnd" in log, "the link of a job run that has ended leads to its event log"
    log = urllib.request.urlopen(links["count", "EmrServerlessLogsLink"], timeout=30).read()
    assert "word counts of" in gzip.decompress(log).decode(), "the other one to what its driver wrote"
    # Asked for as soon as it was submitted: there is none of one that waits, and as a rule none yet.
    live = links["endless", "EmrServerlessDashboardLink"]
    assert live == "" or ".ui.localhost" in live


@MODES
def test_a_job_that_fails_fails_its_task_and_the_log_says_why(mode, airflow, emr):
    dag = f"broken_{mode}"
    done = airflow.run(dag)
    assert done.returncode != 0, done.stdout[-8000:]
    runs = job_runs_of(emr, dag)
    assert {name: run["state"] for name, run in runs.items()} == {"submit": "FAILED", "broken": "FAILED"}
    for given, run in {"submitted": runs["submit"], "waited for": runs["broken"]}.items():
        assert f"no such day, {given}" in run["stateDetails"]
        # A deferred operator fails of a message like this, and does not show it (provider 9.39); its sensor does.
        if (mode, given) != ("deferred", "waited for"):
            assert run["stateDetails"] in done.stdout, done.stdout[-8000:]
    assert application_of(emr, dag)["state"] == "TERMINATED", "what the DAG made is gone all the same"


def test_a_killed_task_cancels_its_job_run(airflow, emr):
    process, said = airflow.start("killed")

    def runs():
        assert process.poll() is None, said.read_text()[-8000:]
        return application_of(emr, "killed") and job_runs_of(emr, "killed").get("endless", {}).get("state") == "RUNNING"
    try:
        wait_for("the job run", runs, JOB_DEADLINE)
        process.send_signal(signal.SIGTERM)
        process.wait(JOB_DEADLINE)
    finally:
        process.kill()
    assert process.returncode != 0
    assert job_runs_of(emr, "killed")["endless"]["state"] == "CANCELLED", said.read_text()[-8000:]


def test_a_deferred_task_that_is_killed_cancels_its_job_run(airflow, jobs):
    # The triggerer does this in the place of the task, which has no process then.
    job = jobs.start(f"s3://{jobs.bucket}/endless.py")
    jobs.wait_until(job, "RUNNING", lambda run: run["state"] == "RUNNING")
    done = airflow.python(KILL, jobs.application, job)
    assert done.returncode == 0, done.stdout
    jobs.wait(job, expect="CANCELLED")
