"""A hearth to test against, such as `hearth up` on a free loopback port with a data directory of its own, and waiting for it.

Nothing here looks inside: what a test learns, it learns through the public API, the `hearth` command and the processes of
the host.
"""

import gzip
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
DIST = Path(os.environ.get("HEARTH_TEST_DIST", ROOT / "target" / "dist"))
HEARTH = DIST / "bin" / "hearth"
# What is fetched or built once, outside of the checkout.
CACHE = Path(os.environ.get("HEARTH_CACHE", Path.home() / ".cache/hearth"))
# The label that tests run on; another one tries another engine.
RELEASE = os.environ.get("HEARTH_TEST_RELEASE", "emr-7.6.0")
FINAL = {"SUCCESS", "FAILED", "CANCELLED"}

# The first job run may have to build the release bundle: minutes without a download cache, seconds with one.
BUNDLE_DEADLINE = 900
JOB_DEADLINE = 180


def wait_for(what, condition, deadline, interval=0.2):
    """The first truthy answer of `condition()`; fails after `deadline` seconds, saying what was waited for."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"after {deadline} s still waiting for {what}")
        time.sleep(interval)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Endpoint:
    """Something of hearth's that answers AWS's clients, with a home of its own; `data_dir` holds its `env`."""

    def __init__(self, name, scheme="http", dist=DIST):
        # The built tree whose programs are started from now on.
        self.dist = dist
        if not self.program.exists():
            raise AssertionError(f"{self.program} is not built: run deploy/build.sh")
        # Not below pytest's own directory, which only its owner may enter.
        self.home = Path(tempfile.mkdtemp(prefix=f"hearth-{name}-"))
        self.data_dir = self.home / "data"
        self.scheme = scheme

    @property
    def program(self):
        return self.dist / "bin/hearth"

    @property
    def endpoint(self):
        return self.settings()["AWS_ENDPOINT_URL"]

    def answers(self):
        """Whether it serves, and refuses whoever does not sign."""
        try:
            urllib.request.urlopen(f"{self.endpoint}/applications", timeout=5, context=self.trust())
        except urllib.error.HTTPError as refused:
            return refused.code == 403
        except OSError:
            return False
        return False

    def remove(self):
        if os.environ.get("HEARTH_TEST_KEEP"):
            print(f"kept {self.home}")
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    def logs(self):
        """Files that say what happened."""
        return []

    @property
    def ca_bundle(self):
        """The file of certificates that a client has to trust; none for plain HTTP."""
        return self.settings().get("AWS_CA_BUNDLE")

    def trust(self):
        """For a client of Python's own that trusts this endpoint and no other."""
        return ssl.create_default_context(cafile=self.ca_bundle) if self.scheme == "https" else None

    def settings(self):
        """What `DIR/env` says."""
        lines = (self.data_dir / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def environment(self):
        """For a child process that talks to this hearth, and to nothing else of AWS's."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        return kept | self.settings() | {
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*", "no_proxy": "*"}

    def tail(self, lines=25):
        """The last lines of every log."""
        parts = []
        for log in self.logs():
            if log.exists():
                parts += [f"{log.name}:", *log.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(parts)

    def run(self, *words, check=True, timeout=300, **options):
        """The `hearth` command against this hearth."""
        options.setdefault("env", self.environment())
        done = subprocess.run([self.program, *map(str, words)], text=True, capture_output=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"hearth {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done


class Hearth(Endpoint):
    """One `hearth up`, which may be killed and started again on the same data directory."""

    def __init__(self, name, scheme="http", options=(), dist=DIST):
        super().__init__(name, scheme, dist)
        self.port = free_port()
        self.options = options
        self.log = self.home / "up.log"
        self.process = None

    def launch(self):
        """Starts it, and does not wait until it is ready."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "HEARTH_BUCKET"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "up", "--data-dir", self.data_dir, "--listen", f"127.0.0.1:{self.port}", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=inherited, start_new_session=True)

    def start(self):
        self.launch()
        wait_for("hearth to be ready", self.is_ready, 60)
        return self

    def is_ready(self):
        """Whether it said so, and answers; fails if it is dead."""
        if self.process.poll() is not None:
            raise AssertionError(f"`hearth up` ended with {self.process.returncode}:\n{self.tail()}")
        if not (self.data_dir / "env").exists() or f"hearth is ready at {self.endpoint} " not in self.log.read_text():
            return False
        return self.answers()

    def kill(self):
        """As a power cut for the coordinator: no handler of it runs."""
        self.process.kill()
        self.is_dead()

    def is_dead(self):
        """After its death: it may be launched again."""
        self.process.wait(10)
        # The ready line of the next start is waited for anew.
        self.log.rename(self.log.with_suffix(f".{time.monotonic_ns()}.log"))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError(f"`hearth up` did not stop on SIGTERM:\n{self.tail()}") from None

    @property
    def endpoint(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def logs(self):
        return self.log, self.data_dir / "hearth.log", self.data_dir / "agent/agent.log"

    @property
    def agent_state(self):
        """The agent's state directory. To be looked into by plain patterns: a `**` fails when a directory goes meanwhile."""
        return self.data_dir / "agent/state"

    def spark_jars(self):
        """Class path of the bundle that the agent unpacked for the first job run."""
        bundles = sorted(self.agent_state.glob("bundles/*/spark/jars"))
        assert bundles, "no unpacked bundle"
        return f"{bundles[0]}/*"


class Coordinator(Endpoint):
    """`hearth-coordinator` on loopback without any agent, from a configuration file as on a real host: what is started waits.
    It may be killed and started again on the same data."""

    def __init__(self, name, settings=""):
        super().__init__(name)
        self.port = free_port()
        self.config = self.home / "coordinator.toml"
        self.log = self.home / "coordinator.log"
        self.more = settings
        self.process = None

    @property
    def database(self):
        return self.data_dir / "hearth.db"

    def prepare(self):
        self.data_dir.mkdir(mode=0o700)
        self.config.write_text(
            f'data_dir = "{self.data_dir}"\nlisten = "127.0.0.1:{self.port}"\nagents_listen = "127.0.0.1:0"\n'
            f'enrolment_listen = "127.0.0.1:0"\nui_listen = "127.0.0.1:0"\n{self.more}')

    def start(self):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "HEARTH_"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([self.dist / "bin/hearth-coordinator", "--config", self.config],
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


def client_of(hearth, service, keys=None, **config):
    """A boto3 client as a user would make it; it never looks for credentials elsewhere. `keys` are others than the
    administrator's, under the names of the environment."""
    given = hearth.settings() if keys is None else hearth.settings() | keys
    return boto3.client(
        service, endpoint_url=hearth.endpoint, verify=hearth.ca_bundle, region_name=given["AWS_DEFAULT_REGION"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"], aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=given.get("AWS_SESSION_TOKEN"),
        config=Config(**{"retries": {"total_max_attempts": 2}, "proxies": {}} | config))


def aws_of(hearth, keys=None):
    """The AWS CLI: arguments in, completed process out; a failure raises unless `check=False`. `keys` as of `client_of`."""
    program = Path(sys.executable).parent / "aws"

    def run(*words, check=True, **options):
        done = subprocess.run([program, *map(str, words)], env=hearth.environment() | (keys or {}), text=True,
                              capture_output=True, timeout=120, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done
    return run


def served(up):
    """For a fixture: this hearth from its start to its orderly stop. Nothing of it stays, whatever happens."""
    try:
        yield up.start()
        up.stop()
    finally:
        if up.process.poll() is None:
            up.process.kill()
        up.remove()


def make_jar(home, name, path, text, classpath):
    """Compiles one Java source file into `home/name.jar`."""
    source, classes = home / name / path, home / f"{name}-classes"
    source.parent.mkdir(parents=True)
    source.write_text(textwrap.dedent(text))
    subprocess.run(["javac", "--release", "17", "-cp", classpath, "-d", classes, source], check=True)
    subprocess.run(["jar", "--create", "--file", home / f"{name}.jar", "-C", classes, "."], check=True)
    return home / f"{name}.jar"


class Jobs:
    """Job runs of one application: start, wait, and read what they left."""

    # The smallest workers there are, one executor: as quick as a cold job gets.
    SMALL = {"spark.driver.cores": "1", "spark.driver.memory": "1g", "spark.executor.cores": "1",
             "spark.executor.memory": "1g", "spark.executor.instances": "1", "spark.dynamicAllocation.enabled": "false"}
    # The driver and nothing else: for jobs without tasks.
    ALONE = {"spark.dynamicAllocation.enabled": "true", "spark.executor.instances": None,
             "spark.dynamicAllocation.initialExecutors": "0", "spark.dynamicAllocation.minExecutors": "0"}

    def __init__(self, emr, s3, application, role, bucket):
        self.emr, self.s3, self.application, self.role, self.bucket = emr, s3, application, role, bucket
        self.log_uri = f"s3://{bucket}/logs/"

    def put(self, name, content):
        """Uploads text, bytes or a file and returns its URI."""
        if isinstance(content, Path):
            content = content.read_bytes()
        self.s3.put_object(Bucket=self.bucket, Key=f"given/{name}", Body=content)
        return f"s3://{self.bucket}/given/{name}"

    def start(self, entry_point, *arguments, parameters="", conf=None, name=None, role=None, **request):
        settings = self.SMALL | (conf or {})
        words = " ".join(f"--conf {key}={value}" for key, value in settings.items() if value is not None)
        request.setdefault("configurationOverrides", {
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": self.log_uri}}})
        answer = self.emr.start_job_run(
            applicationId=self.application, executionRoleArn=role or self.role, name=name or entry_point.rsplit("/", 1)[-1],
            jobDriver={"sparkSubmit": {"entryPoint": entry_point, "entryPointArguments": list(map(str, arguments)),
                                       "sparkSubmitParameters": f"{words} {parameters}".strip()}}, **request)
        return answer["jobRunId"]

    def get(self, job):
        return self.emr.get_job_run(applicationId=self.application, jobRunId=job)["jobRun"]

    def wait(self, job, expect="SUCCESS", deadline=JOB_DEADLINE):
        """The job run in its final state, which must be `expect`; a failure shows the driver's last words."""
        run = {}

        def is_final():
            run.update(self.get(job))
            return run["state"] in FINAL
        try:
            wait_for(f"the end of job run {job}", is_final, deadline)
        except AssertionError as late:
            raise AssertionError(f"{late}: {run.get('state')}: {run.get('stateDetails')}") from None
        if run["state"] != expect:
            raise AssertionError(
                f"job run {job} ended as {run['state']}, not {expect}: {run['stateDetails']}\n{self.log(job, 'stderr')[-4000:]}")
        return run

    def run(self, entry_point, *arguments, expect="SUCCESS", deadline=JOB_DEADLINE, **options):
        return self.wait(self.start(entry_point, *arguments, **options), expect, deadline)

    def wait_until(self, job, what, condition, deadline=JOB_DEADLINE):
        """The job run once `condition(run)` holds; fails if it ends before."""
        def holds():
            run = self.get(job)
            if condition(run):
                return run
            if run["state"] in FINAL:
                raise AssertionError(f"job run {job} ended as {run['state']} before {what}: {run['stateDetails']}\n"
                                     f"{self.log(job, 'stderr')[-4000:]}")
            return None
        return wait_for(what, holds, deadline)

    def log_prefix(self, job):
        return f"logs/applications/{self.application}/jobs/{job}/"

    def log(self, job, stream="stdout", worker="SPARK_DRIVER"):
        """A worker's log as text; empty if there is none."""
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=f"{self.log_prefix(job)}{worker}/{stream}.gz")["Body"]
        except self.s3.exceptions.NoSuchKey:
            return ""
        return gzip.decompress(body.read()).decode(errors="replace")

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def text(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()

    def events(self, job):
        """The Spark event log, one dictionary an event."""
        lines = []
        for key in self.keys(f"{self.log_prefix(job)}sparklogs/"):
            lines += self.text(key).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]
