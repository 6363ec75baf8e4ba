"""What is measured: a `hearth up` that runs jobs; the load generator for a coordinator alone."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager

from bench import ROOT
from lab import BUNDLE_DEADLINE, RELEASE, Coordinator, Jobs, client_of
from watch import daemons


def build_load():
    """The load generator, built if it is not."""
    command = ["cargo", "build", "--locked", "--quiet", "--release", "--package", "hearth-load"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/hearth-load"


def job_request(application, role):
    """A job run as users submit it."""
    return {"applicationId": application, "executionRoleArn": role, "name": "like", "tags": {"team": "load"},
            "jobDriver": {"sparkSubmit": {
                "entryPoint": "s3://load/job.py", "entryPointArguments": ["s3://load/input/", "s3://load/output/"],
                "sparkSubmitParameters": "--conf spark.driver.cores=1 --conf spark.driver.memory=1g --conf spark.executor.cores=1 "
                                         "--conf spark.executor.memory=1g --conf spark.executor.instances=2"}},
            "configurationOverrides": {
                "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://load/logs/"}}}}


@contextmanager
def alone(name):
    """A coordinator without hosts that is not started yet; nothing of it stays, whatever happens."""
    coordinator = Coordinator(name)
    try:
        coordinator.prepare()
        yield coordinator
    finally:
        coordinator.kill()
        coordinator.remove()


def job_to_copy(coordinator, load):
    """An application and an ended job run of it, with the release ready, in the store of a coordinator that is stopped again."""
    subprocess.run([load, "release", "--database", coordinator.database, "--label", RELEASE], check=True)
    coordinator.start()
    emr = client_of(coordinator, "emr-serverless")
    application = emr.create_application(name="load", releaseLabel=RELEASE, type="SPARK")["applicationId"]
    job = emr.start_job_run(**job_request(application, coordinator.settings()["HEARTH_ROLE_ARN"]))["jobRunId"]
    emr.cancel_job_run(applicationId=application, jobRunId=job)
    coordinator.stop()
    return application, job


def copy_job(load, database, job, count, ids=None):
    """Writes copies of an ended job run through the store's own code, and their identifiers into a file."""
    with open(ids or os.devnull, "w") as file:
        subprocess.run([load, "seed", "--database", database, "--like", job, "--count", str(count)], stdout=file, check=True)


def drive(load, coordinator, *words):
    """What the load generator measured."""
    done = subprocess.run([load, "drive", *map(str, words)], env=coordinator.environment(), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@contextmanager
def running(up):
    """A `hearth up` from its start to its orderly stop; nothing of it stays, whatever happens."""
    try:
        yield up.start()
    finally:
        try:
            up.stop()
        finally:
            for agent in daemons(up.data_dir, "hearth-agent"):
                os.kill(agent.pid, signal.SIGKILL)
            up.remove()


def first_job(up, script, name):
    """Makes a bucket and an application in a `hearth up`, and starts its first job run; it may run once the bundle is built."""
    emr, s3 = client_of(up, "emr-serverless"), client_of(up, "s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="benchmark")
    application = emr.create_application(name="benchmark", releaseLabel=RELEASE, type="SPARK")["applicationId"]
    jobs = Jobs(emr, s3, application, up.settings()["HEARTH_ROLE_ARN"], "benchmark")
    job = jobs.start(jobs.put(f"{name}.py", script))
    jobs.wait_until(job, "its driver's start", lambda run: run["state"] not in {"SUBMITTED", "PENDING", "QUEUED"}, BUNDLE_DEADLINE)
    return jobs, job
