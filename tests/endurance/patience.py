"""Job runs as a patient client has them: asked for until they are answered, each judged by what it wrote.

The job has two stages with a shuffle between them, and an output that a second writer would spoil.
"""

import json
import textwrap
from dataclasses import dataclass

from lab import FINAL, RELEASE, client_of, wait_for

KEYS = 20
JOB = textwrap.dedent(f"""
    import sys, time
    from operator import add
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    def pair(i):
        import time
        time.sleep(0.02)
        return i % {KEYS}, i
    sums = spark.sparkContext.parallelize(range(int(sys.argv[2])), 4).map(pair).reduceByKey(add, 3)
    def slowly(row):
        import time
        time.sleep(0.1)
        return row
    spark.createDataFrame(sums.map(slowly), "key int, total long").write.mode("overwrite").json(sys.argv[1])
    """)


@dataclass(frozen=True)
class Work:
    """How much a job has to do: `rows` take a fiftieth of a second each."""
    rows: int
    executors: int

    def expected(self):
        """What it writes."""
        return {key: sum(i for i in range(self.rows) if i % KEYS == key) for key in range(KEYS)}


class PatientJobs:
    """The job runs of one application: open ones by number, done ones with their state, and what was wrong with any.

    `meanwhile` is called between two tries of a request that was not answered.
    """

    def __init__(self, hearth, bucket, work, meanwhile=lambda: None):
        self.hearth, self.bucket, self.work, self.meanwhile = hearth, bucket, work, meanwhile
        self.open, self.done, self.faults = {}, {}, []

    def prepare(self):
        self.emr = client_of(self.hearth, "emr-serverless")
        self.s3 = client_of(self.hearth, "s3", s3={"addressing_style": "path"})
        self.ask("a bucket", lambda: self.s3.create_bucket(Bucket=self.bucket))
        self.ask("the job's file", lambda: self.s3.put_object(Bucket=self.bucket, Key="job.py", Body=JOB.encode()))
        request = dict(name=self.bucket, clientToken=self.bucket, releaseLabel=RELEASE, type="SPARK",
                       autoStopConfiguration={"enabled": False})
        self.application = self.ask("an application", lambda: self.emr.create_application(**request))["applicationId"]

    def ask(self, what, call):
        """The same request again until it is answered."""
        last = []

        def attempt():
            try:
                return [call()]
            except Exception as error:  # Whatever the client library makes of a coordinator that is away.
                last[:] = [error]
                self.meanwhile()
                return None
        try:
            return wait_for(what, attempt, 60)[0]
        except AssertionError as late:
            raise AssertionError(f"{late}: {last}") from None

    def submit(self, attempts=10):
        """Starts a job run, twice with one client token; answers its id."""
        number = len(self.open) + len(self.done)
        request = dict(
            applicationId=self.application, executionRoleArn=self.hearth.settings()["HEARTH_ROLE_ARN"],
            clientToken=f"job-{number}", name=f"job-{number}", retryPolicy={"maxAttempts": attempts},
            jobDriver={"sparkSubmit": {
                "entryPoint": f"s3://{self.bucket}/job.py",
                "entryPointArguments": [f"s3://{self.bucket}/out/{number}", str(self.work.rows)],
                "sparkSubmitParameters": " ".join(f"--conf {pair}" for pair in [
                    "spark.driver.cores=1", "spark.driver.memory=1g", "spark.executor.cores=1", "spark.executor.memory=1g",
                    f"spark.executor.instances={self.work.executors}", "spark.dynamicAllocation.enabled=false"])}})
        job = self.ask("a job run to be taken", lambda: self.emr.start_job_run(**request))["jobRunId"]
        again = self.ask("the same job run", lambda: self.emr.start_job_run(**request))["jobRunId"]
        if again != job:
            self.faults.append(f"doubled: client token job-{number} made {job} and {again}")
        self.open[job] = number
        return job

    def collect(self):
        """Looks at every open job run; judges those that have ended."""
        for job, number in list(self.open.items()):
            run = self.ask("a job run", lambda job=job: self.emr.get_job_run(
                applicationId=self.application, jobRunId=job))["jobRun"]
            if run["state"] in FINAL:
                del self.open[job]
                self.done[job] = run["state"]
                if run["state"] != "SUCCESS":
                    self.faults.append(f"lost: job run {job} ended as {run['state']}: {run['stateDetails']}")
                elif (found := self.output(number)) != self.work.expected():
                    self.faults.append(f"wrong: job run {job} wrote {found}")

    def output(self, number):
        found = {}
        pages = self.ask("an output", lambda: self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"out/{number}/"))
        for item in pages.get("Contents", []):
            body = self.ask("a part", lambda key=item["Key"]: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            if "/part-" in item["Key"]:
                for line in body.decode().splitlines():
                    row = json.loads(line)
                    # A row that is there twice makes the sum wrong.
                    found[row["key"]] = found.get(row["key"], 0) + row["total"]
        return found

    def check_outcomes(self):
        """No outcome has changed since it was answered, and there is no job run that nobody asked for."""
        pages = self.emr.get_paginator("list_job_runs").paginate(applicationId=self.application)
        listed = {run["id"]: run["state"] for page in pages for run in page["jobRuns"]}
        if listed != self.done:
            self.faults.append(f"changed: {listed} is listed, {self.done} was answered")
