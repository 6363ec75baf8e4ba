"""Fixtures: one hearth for the whole session, its clients, one application, one bucket."""

import pytest
from lab import BUNDLE_DEADLINE, RELEASE, Hearth, Jobs, aws_of, client_of, served, wait_for

BUCKET = "end-to-end"


@pytest.fixture(scope="session")
def hearth():
    yield from served(Hearth("e2e"))


@pytest.fixture(scope="session")
def endpoint(hearth):
    return hearth.endpoint


@pytest.fixture(scope="session")
def s3(hearth):
    return client_of(hearth, "s3", s3={"addressing_style": "path"})


@pytest.fixture(scope="session")
def emr(hearth):
    return client_of(hearth, "emr-serverless")


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
