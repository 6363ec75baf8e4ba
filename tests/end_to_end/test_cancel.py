"""CANCELLED means that every process is gone, whatever it did not want to hear."""

import os
import signal
import textwrap

from endurance import watch
from lab import JOB_DEADLINE, Jobs, wait_for

DEAF = textwrap.dedent("""
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
    """)


def test_a_job_run_whose_jvm_is_stopped_and_whose_python_is_deaf_is_gone_once_it_is_cancelled(jobs, hearth):
    """`tests/benchmarks/cancelling.py` measures how soon."""
    job = jobs.start(jobs.put("deaf.py", DEAF), conf=Jobs.ALONE)

    def family():
        """The JVM and what it has started: its Python."""
        found = [one.process.pid for one in watch.workers(hearth.data_dir) if one.job == job]
        for pid in found:
            found += children(pid)
        return found if len(found) > 1 else None
    pids = wait_for("its JVM and its Python", family, JOB_DEADLINE)
    processes = [watch.Process.of(pid) for pid in pids]
    os.kill(pids[0], signal.SIGSTOP)
    jobs.emr.cancel_job_run(applicationId=jobs.application, jobRunId=job, shutdownGracePeriodInSeconds=1)
    jobs.wait(job, "CANCELLED")
    assert all(processes) and not [one for one in processes if one.is_alive()]


def children(pid):
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        return [int(child) for task in tasks for child in open(f"/proc/{pid}/task/{task}/children").read().split()]
    except OSError:
        return []
