"""What the tests of every folder have in common when they fail."""

import pytest

# Fixtures that are something of hearth which runs, and what its last lines are said to be.
RUNNING = {"hearth": "last lines of hearth up", "cluster": "last lines of the daemons"}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what hearth said last."""
    outcome = yield
    report = outcome.get_result()
    given = getattr(item, "funcargs", {})
    for name in RUNNING.keys() & given.keys() if report.failed else ():
        report.sections.append((RUNNING[name], given[name].tail()))
