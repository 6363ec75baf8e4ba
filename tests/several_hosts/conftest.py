"""Fixtures: one cluster of two hosts for the whole session, and job runs on it."""

import pytest
from hosts import Cluster, NoNamespaces, jobs_on, leftovers
from lost_hosts import Lengths, Story
from troubles import TroubledCluster


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
    return jobs_on(cluster)


@pytest.fixture(scope="module")
def leased():
    """Stories of one cluster whose leases are over after 14 s; its drivers are frozen after 8."""
    lengths = Lengths(heartbeat=1, lease=12, skew=2)
    for cluster in running(Cluster(settings=lengths.settings())):
        jobs = jobs_on(cluster)
        yield lambda loss: Story(cluster, jobs, lengths, loss)


@pytest.fixture(scope="module")
def troubled():
    """A cluster whose name server, object store and clock a test may disturb, and job runs on it."""
    for cluster in running(TroubledCluster()):
        yield cluster, jobs_on(cluster)
