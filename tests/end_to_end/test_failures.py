"""Job runs that fail in different ways: each has its cause, and says the limit and what to change (guide:4113-4148).

All run side by side, each in one small JVM without executors.
"""

import json
import os
import re
import signal
import textwrap

import pytest
from endurance import watch
from lab import JOB_DEADLINE, Jobs, make_jar, wait_for

FAILING = """
    package app;
    public final class Failing {
        public static void main(String[] arguments) throws Exception {
            switch (arguments[0]) {
                case "heap" -> System.out.println(new long[200_000_000].length);
                case "code" -> System.exit(3);
                default -> Thread.sleep(Long.MAX_VALUE);
            }
        }
    }"""

# Name, program in Python, cause, and what its sentence says.
PROGRAMS = [
    ("module", "import not_there_at_all", "MODULE_NOT_FOUND", ["not_there_at_all", "--py-files"]),
    ("syntax", "print('never closed'", "SYNTAX_ERROR", ["syntax.py, line 1"]),
    ("memory", "held = bytearray(1 << 60)", "PYTHON_MEMORY", ["2048 MiB", "spark.driver.memoryOverhead"]),
    # A device that answers every write as a full disk does.
    ("disk", "print('x', file=open('/dev/full', 'w'), flush=True)", "DISK_FULL", ["20 GB", "spark.emr-serverless.driver.disk"]),
    ("file", "open('model.bin')", "FILE_NOT_FOUND", ["model.bin"]),
    ("value", "raise ValueError('no such customer: 17')", "EXCEPTION", ["ValueError: no such customer: 17"]),
]


@pytest.fixture(scope="module")
def nobody(aws, jobs):
    """A role that may deliver logs and nothing else."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"Service": "emr-serverless.amazonaws.com"}}]}
    allowed = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{jobs.bucket}/logs/*"}]}
    role = json.loads(aws("iam", "create-role", "--role-name", "nobody", "--assume-role-policy-document",
                          json.dumps(trust)).stdout)["Role"]["Arn"]
    aws("iam", "put-role-policy", "--role-name", "nobody", "--policy-name", "logs", "--policy-document", json.dumps(allowed))
    return role


def driver_of(hearth, job):
    """The job run's worker, once its process runs."""
    return wait_for(f"the driver of {job}", lambda: [w for w in watch.workers(hearth.data_dir) if w.job == job], JOB_DEADLINE)[0]


def test_each_failure_has_its_cause_and_says_what_to_change(jobs, hearth, nobody, tmp_path):
    jar = jobs.put("failing.jar", make_jar(tmp_path, "failing", "app/Failing.java", FAILING, "."))

    def failing(how, main="app.Failing"):
        return jobs.start(jar, how, parameters=f"--class {main}", conf=Jobs.ALONE, name=how)
    expected = {}
    for name, program, cause, parts in PROGRAMS:
        expected[jobs.start(jobs.put(f"{name}.py", textwrap.dedent(program)), conf=Jobs.ALONE)] = cause, parts
    expected[failing("heap")] = "DRIVER_HEAP", ["1024 MiB", "Increase spark.driver.memory,"]
    expected[failing("code")] = "EXIT_CODE", ["exit code 3"]
    expected[failing("class", "app.Missing")] = "CLASS_NOT_FOUND", ["app.Missing", "--jars"]
    absent = f"s3://{jobs.bucket}/given/absent.py"
    expected[jobs.start(absent, conf=Jobs.ALONE)] = "FILE_NOT_FOUND", [absent, "entry point"]
    forbidden = jobs.put("forbidden-entry.py", "print('never read')")
    expected[jobs.start(forbidden, conf=Jobs.ALONE, role=nobody)] = "ACCESS_DENIED", [forbidden, nobody]
    killed, lost = failing("killed"), failing("lost")
    expected[killed] = "KILLED", ["signal 9"]
    expected[lost] = "HOST_LOST", ["lost"]
    for job, victim in ((killed, "process"), (lost, "keeper")):
        jobs.wait_until(job, "RUNNING", lambda run: run["state"] == "RUNNING")
        os.kill(getattr(driver_of(hearth, job), victim).pid, signal.SIGKILL)

    seen = {}
    for job, (cause, parts) in expected.items():
        details = jobs.wait(job, "FAILED")["stateDetails"]
        told = json.loads(hearth.run("explain", job, "--json").stdout)["timeline"]
        seen[job] = told["cause"]
        assert told["cause"] == cause, (details, told)
        assert all(part in details for part in parts), (cause, details)
        # Whole sentences, within what the service model allows.
        assert details.startswith("Job failed") and not re.search(r"…$", details), details
    assert len(set(seen.values())) >= 8, seen
