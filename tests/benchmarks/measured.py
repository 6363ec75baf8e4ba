"""What is measured: a coordinator alone, from a configuration file as on a real host, or a `hearth up` that runs jobs."""

import os
import signal
import subprocess
from contextlib import contextmanager

from bench import ROOT
from lab import BUNDLE_DEADLINE, DIST, RELEASE, Endpoint, Jobs, client_of, free_port, wait_for
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


class Coordinator(Endpoint):
    """`hearth-coordinator` on loopback, which may be killed and started again on the same data."""

    def __init__(self, name):
        super().__init__(name)
        self.port = free_port()
        self.config = self.home / "coordinator.toml"
        self.log = self.home / "coordinator.log"
        self.process = None

    @property
    def database(self):
        return self.data_dir / "hearth.db"

    def prepare(self):
        self.data_dir.mkdir(mode=0o700)
        self.config.write_text(
            f'data_dir = "{self.data_dir}"\nlisten = "127.0.0.1:{self.port}"\nagents_listen = "127.0.0.1:0"\n'
            'enrolment_listen = "127.0.0.1:0"\n')

    def start(self):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "HEARTH_"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([DIST / "bin/hearth-coordinator", "--config", self.config],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=inherited)
        wait_for("the coordinator", lambda: (self.data_dir / "env").exists() and self.answers(), 60)
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def logs(self):
        return [self.log]
