"""Fixtures: one hearth for the whole session, its clients, one application, one bucket."""

import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from lab import BUNDLE_DEADLINE, Hearth, Jobs, wait_for

BUCKET = "end-to-end"
RELEASE = "emr-7.6.0"


@pytest.fixture(scope="session")
def hearth():
    up = Hearth("e2e")
    try:
        yield up.start()
        up.stop()
    finally:
        if up.process.poll() is None:
            up.process.kill()
        up.remove()


def client_of(hearth, service, **config):
    """A boto3 client as a user would make it; it never looks for credentials elsewhere."""
    given = hearth.settings()
    return boto3.client(
        service, endpoint_url=hearth.endpoint, verify=hearth.ca_bundle, region_name=given["AWS_DEFAULT_REGION"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"], aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 2}, proxies={}, **config))


@pytest.fixture(scope="session")
def endpoint(hearth):
    return hearth.endpoint


@pytest.fixture(scope="session")
def s3(hearth):
    return client_of(hearth, "s3", s3={"addressing_style": "path"})


@pytest.fixture(scope="session")
def emr(hearth):
    return client_of(hearth, "emr-serverless")


def aws_of(hearth):
    """The AWS CLI: arguments in, completed process out; a failure raises unless `check=False`."""
    program = Path(sys.executable).parent / "aws"

    def run(*words, check=True, **options):
        done = subprocess.run([program, *map(str, words)], env=hearth.environment(), text=True, capture_output=True,
                              timeout=120, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done
    return run


@pytest.fixture(scope="session")
def aws(hearth):
    return aws_of(hearth)


@pytest.fixture(scope="session")
def application(emr):
    """An application whose release is built: the first job run on a label waits for that."""
    return emr.create_application(name="end-to-end", releaseLabel=RELEASE, type="SPARK")["applicationId"]


@pytest.fixture(scope="session")
def jobs(hearth, emr, s3, application):
    """Job runs of the application. The first one here pays for the release bundle."""
    s3.create_bucket(Bucket=BUCKET)
    jobs = Jobs(emr, s3, application, hearth.settings()["HEARTH_ROLE_ARN"], BUCKET)
    jobs.run(jobs.put("first.py", "print('the release is here')"), deadline=BUNDLE_DEADLINE)
    return jobs


@pytest.fixture(scope="session")
def run_job(jobs):
    """Runs a job to its end and returns the final `GetJobRun`."""
    return jobs.run


@pytest.fixture(scope="session")
def until():
    return wait_for


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what hearth said last."""
    outcome = yield
    report = outcome.get_result()
    up = item.funcargs.get("hearth") if hasattr(item, "funcargs") else None
    if report.failed and up is not None:
        report.sections.append(("last lines of hearth up", up.tail()))
