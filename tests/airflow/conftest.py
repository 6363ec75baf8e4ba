"""Fixtures: one hearth for the session, and Airflow as its users have it: its own environment, command and database."""

import shutil
import subprocess
from pathlib import Path

import pytest
from lab import BUNDLE_DEADLINE, CACHE, RELEASE, Hearth, Jobs, client_of, served

PROGRAM = CACHE / "airflow/bin/airflow"
BUCKET = "airflow"
SCRIPTS = {
    "endless.py": "from pyspark.sql import SparkSession\nimport time\nSparkSession.builder.getOrCreate()\ntime.sleep(3600)",
    "broken.py": "import sys\nraise ValueError(f'no such day, {sys.argv[1]}')"}


@pytest.fixture(scope="session")
def hearth():
    yield from served(Hearth("airflow"))


@pytest.fixture(scope="session")
def emr(hearth):
    return client_of(hearth, "emr-serverless")


@pytest.fixture(scope="session")
def jobs(hearth, emr):
    """Job runs beside Airflow's, and what those read. The first one pays for the release bundle."""
    s3 = client_of(hearth, "s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket=BUCKET)
    for name, script in SCRIPTS.items():
        s3.put_object(Bucket=BUCKET, Key=name, Body=script.encode())
    application = emr.create_application(name="before", releaseLabel=RELEASE, type="SPARK")["applicationId"]
    jobs = Jobs(emr, s3, application, hearth.settings()["HEARTH_ROLE_ARN"], BUCKET)
    jobs.run(jobs.put("first.py", "print('the release is here')"), deadline=BUNDLE_DEADLINE)
    return jobs


class Airflow:
    """The command `airflow` with homes of their own: what one DAG's run leaves, no other one sees."""

    def __init__(self, hearth, jobs, directory):
        self.directory = directory
        self.environment = hearth.environment() | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False", "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW_VAR_BUCKET": jobs.bucket, "AIRFLOW_VAR_JOB_ROLE": jobs.role}
        self.empty = directory / "empty"
        self.command(self.empty, "db", "migrate", check=True)

    def command(self, home, *words, **options):
        return subprocess.run([PROGRAM, *words], env=self.environment | {"AIRFLOW_HOME": str(home)}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, **options)

    def home_of(self, dag):
        home = self.directory / dag
        home.mkdir()
        # The database alone: the configuration beside it names the place of another one.
        shutil.copy(self.empty / "airflow.db", home)
        return home

    def run(self, dag):
        """Runs a DAG to its end, as `airflow dags test` does: with its database, operators and triggers, and no scheduler.
        What it said is kept beside its home."""
        done = self.command(self.home_of(dag), "dags", "test", dag)
        (self.directory / f"{dag}.log").write_text(done.stdout)
        return done

    def start(self, dag):
        """The same, not waited for; what it says is in the file that stands beside the process."""
        said = self.directory / f"{dag}.log"
        with said.open("wb") as log:
            return subprocess.Popen([PROGRAM, "dags", "test", dag], stdout=log, stderr=log,
                                    env=self.environment | {"AIRFLOW_HOME": str(self.home_of(dag))}), said

    def python(self, program, *arguments):
        """Runs Python with Airflow's packages."""
        return subprocess.run([PROGRAM.parent / "python3", "-c", program, *arguments], text=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=self.environment | {"AIRFLOW_HOME": str(self.empty)})


@pytest.fixture(scope="session")
def airflow(hearth, jobs, tmp_path_factory):
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not there: run bash deploy/prerequisites.sh airflow", pytrace=False)
    return Airflow(hearth, jobs, tmp_path_factory.mktemp("airflow"))
