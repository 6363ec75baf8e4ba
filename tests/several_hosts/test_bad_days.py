"""What a host may run out of, and what becomes of the jobs it was to run."""

from pathlib import Path

import pytest
from hosts import ATTACHED, START_DEADLINE, removed
from lab import wait_for

PIDS = Path("/sys/fs/cgroup/pids")


@pytest.fixture
def crowd(cluster):
    """Groups that limit how many processes and threads an agent may have; its workers have groups of their own."""
    made = []

    def around(agent):
        if not (PIDS / "pids.max").exists() and not (PIDS / "cgroup.procs").exists():
            pytest.skip("needs the pids controller of control groups, version 1")
        group = PIDS / f"{cluster.network.name}-{len(made)}"
        group.mkdir()
        made.append((group, agent))
        (group / "cgroup.procs").write_text(str(agent.process.pid))
        return group
    yield around
    for group, agent in made:
        (group / "pids.max").write_text("max")
        agent.kill()
        for process in (group / "cgroup.procs").read_text().split():
            (PIDS / "cgroup.procs").write_text(process)
        wait_for(f"{group} to be empty", lambda group=group: removed(group), 10)
        attached = agent.times(ATTACHED)
        agent.start()
        wait_for("the agent to attach again", lambda agent=agent, attached=attached: agent.times(ATTACHED) > attached, START_DEADLINE)


def test_a_driver_that_its_host_has_no_process_left_for_runs_on_another(cluster, jobs, crowd):
    cluster.become_idle()
    # Of two hosts that are alike the first by name gets the driver.
    first, other = sorted(cluster.hosts, key=lambda host: host.id)
    group = crowd(first.agent)
    (group / "pids.max").write_text((group / "pids.current").read_text())
    job = jobs.start(jobs.put("hello.py", "print('hello')"))
    run = jobs.wait(job)
    assert first.agent.times("starting a worker's keeper failed") or first.agent.times("could not"), first.agent.log.read_text()
    assert run.get("attempt", 1) == 1
    assert jobs.log(job).strip() == "hello"
    assert not any((first.state / "workers").glob("*"))
