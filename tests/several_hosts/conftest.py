"""Fixtures: one cluster of two hosts for the whole session, and job runs on it."""

import pytest
from hosts import Cluster, NoNamespaces, leftovers
from lab import BUNDLE_DEADLINE, RELEASE, Jobs, client_of

BUCKET = "several-hosts"


def running(cluster):
    try:
        try:
            yield cluster.start()
        except NoNamespaces as refused:
            pytest.skip(f"needs network namespaces: {refused}")
    finally:
        cluster.stop()
    assert leftovers(cluster) == []


@pytest.fixture(scope="session")
def cluster():
    yield from running(Cluster())


@pytest.fixture(scope="module")
def short_lived():
    """A cluster of one host whose certificates live for seconds."""
    yield from running(Cluster(hosts=1, settings="certificate_seconds = 30\n"))


@pytest.fixture(scope="session")
def jobs(cluster):
    """Job runs of one application. The first one here pays for the release bundle, on both hosts."""
    emr, s3 = client_of(cluster, "emr-serverless"), client_of(cluster, "s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket=BUCKET)
    application = emr.create_application(name=BUCKET, releaseLabel=RELEASE, type="SPARK")["applicationId"]
    jobs = Jobs(emr, s3, application, cluster.settings()["HEARTH_ROLE_ARN"], BUCKET)
    jobs.run(jobs.put("first.py", "print('the release is here')"), deadline=BUNDLE_DEADLINE)
    return jobs


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the daemons said last."""
    outcome = yield
    report = outcome.get_result()
    cluster = item.funcargs.get("cluster") if hasattr(item, "funcargs") else None
    if report.failed and cluster is not None:
        report.sections.append(("last lines of the daemons", cluster.tail()))
