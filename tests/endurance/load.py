"""The job runs that are disturbed: keeps some open, and judges each that has ended.

A job run is right if it ended as SUCCESS with the right output, written once; if its attempts are numbered one after
the other, and every way to ask for them says the same; and if the logs that were shipped hold exactly what its drivers printed.
"""

import gzip
import json
import textwrap

from botocore.exceptions import ClientError

from lab import FINAL, RELEASE, Jobs, client_of, wait_for

BUCKET = "kills"
ROWS, KEYS, ROUNDS = 400, 20, 8
# The most that the API allows.
ATTEMPTS = 10
# What the details of an attempt say whose driver or its keeper was killed.
KILLED = ["signal 9", "lost"]

# Some seconds of stages, a line after each; at the end a shuffle and an output that a second writer would spoil.
PROGRAM = textwrap.dedent(f"""
    import sys
    from operator import add
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    context = spark.sparkContext
    def slowly(row):
        import time
        time.sleep(0.004)
        return row
    def pair(i):
        return slowly(i) % {KEYS}, i
    def very_slowly(row):
        import time
        time.sleep(0.1)
        return row
    print("begins", flush=True)
    for number in range({ROUNDS}):
        print("round", number, context.parallelize(range({ROWS}), 4).map(slowly).sum(), flush=True)
    sums = context.parallelize(range({ROWS}), 4).map(pair).reduceByKey(add, 3)
    spark.createDataFrame(sums.map(very_slowly), "key int, total long").write.mode("overwrite").json(sys.argv[1])
    print("ends", flush=True)
    """)
PRINTED = "".join(f"{line}\n" for line in [
    "begins", *(f"round {number} {sum(range(ROWS))}" for number in range(ROUNDS)), "ends"])
WRITTEN = {key: sum(i for i in range(ROWS) if i % KEYS == key) for key in range(KEYS)}


class Patient:
    """A client whose requests are repeated until they are answered, as a patient user's are."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not callable(found) or name == "get_paginator":
            return found
        last = []

        def ask(**request):
            try:
                return [found(**request)]
            except ClientError as refused:
                if refused.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    raise
                last[:] = [refused]
            except Exception as error:  # Whatever the client library makes of a coordinator that is away.
                last[:] = [error]
            return None

        def patiently(**request):
            try:
                return wait_for(f"an answer to {name}", lambda: ask(**request), 60)[0]
            except AssertionError as late:
                raise AssertionError(f"{late}: {last}") from None
        return patiently


class Load:
    """As many job runs of one application as were asked for."""

    def __init__(self, hearth, width):
        self.width, self.faults, self.attempts, self.disturbed = width, [], 0, []
        self.open, self.states, self.done = {}, {}, {}
        emr, s3 = Patient(client_of(hearth, "emr-serverless")), Patient(client_of(hearth, "s3", s3={"addressing_style": "path"}))
        s3.create_bucket(Bucket=BUCKET)
        application = emr.create_application(
            name="kills", releaseLabel=RELEASE, type="SPARK", autoStopConfiguration={"enabled": False})["applicationId"]
        self.jobs = Jobs(emr, s3, application, hearth.settings()["HEARTH_ROLE_ARN"], BUCKET)
        self.program = self.jobs.put("job.py", PROGRAM.encode())

    def submit(self):
        """One more job run; the repetition of its request must not make another."""
        number = len(self.open) + len(self.done)
        job, again = (self.jobs.start(
            self.program, f"s3://{BUCKET}/out/{number}", name=f"job-{number}", clientToken=f"job-{number}",
            retryPolicy={"maxAttempts": ATTEMPTS}, conf={"spark.executor.instances": "2"}) for _ in range(2))
        if again != job:
            self.faults.append(f"doubled: client token job-{number} made {job} and {again}")
        self.open[job] = number

    def collect(self):
        """Looks at every open job run; judges those that have ended."""
        for job, number in list(self.open.items()):
            run = self.jobs.get(job)
            self.states[job] = run["state"]
            if run["state"] in FINAL:
                del self.open[job]
                self.done[job] = run["state"]
                self.faults += [f"{what} (job run {job})" for what in self.judge(run, number)]

    def top_up(self):
        self.collect()
        while len(self.open) < self.width:
            self.submit()

    def running(self):
        """The job runs that were in state RUNNING at the last look."""
        return {job for job in self.open if self.states.get(job) == "RUNNING"}

    def judge(self, run, number):
        """Everything that is wrong with a job run that has ended."""
        if run["state"] != "SUCCESS":
            yield f"lost: ended as {run['state']}: {run['stateDetails']}"
            return
        self.attempts += run["attempt"]
        written = self.output(number)
        if written != WRITTEN:
            yield f"wrong: wrote {written}"
        yield from self.judge_attempts(run)
        yield from self.judge_logs(run)

    def judge_attempts(self, run):
        job, asked = run["jobRunId"], dict(applicationId=self.jobs.application, jobRunId=run["jobRunId"])
        pages = self.jobs.emr.get_paginator("list_job_run_attempts").paginate(**asked)
        listed = sorted((one["attempt"], one["state"], one["stateDetails"]) for page in pages for one in page["jobRunAttempts"])
        single = [self.jobs.emr.get_job_run(**asked, attempt=number)["jobRun"] for number in range(1, run["attempt"] + 1)]
        if listed != [(one["attempt"], one["state"], one["stateDetails"]) for one in single]:
            yield f"attempts: {listed} are listed, {[(one['attempt'], one['state']) for one in single]} are shown"
        if [one["attempt"] for one in single] != list(range(1, run["attempt"] + 1)):
            yield f"attempts: they are numbered {[one['attempt'] for one in single]}"
        if [one["state"] for one in single] != ["FAILED"] * (run["attempt"] - 1) + ["SUCCESS"]:
            yield f"attempts: they ended as {[one['state'] for one in single]}"
        # An attempt may also fail when nobody killed its driver: no fault by itself, but worth a look.
        self.disturbed += [f"{job} attempt {one['attempt']}: {one['stateDetails']}" for one in single[:-1]
                           if not any(end in one["stateDetails"] for end in KILLED)]
        for before, after in zip(single, single[1:]):
            if after["attemptCreatedAt"] < before["endedAt"]:
                yield f"doubled: attempt {after['attempt']} of {job} was made before the one before it ended"

    def judge_logs(self, run):
        prefix, latest = self.jobs.log_prefix(run["jobRunId"]), run["attempt"]
        keys = set(self.jobs.keys(prefix))
        known = {f"{prefix}attempts/{number}/" for number in range(1, latest + 1)}
        if stray := [key for key in keys if not any(key.startswith(one) for one in known)]:
            yield f"logs: {stray} are of no attempt"
        for number in range(1, latest + 1):
            key = f"{prefix}attempts/{number}/SPARK_DRIVER/stdout.gz"
            printed = self.unpacked(key) if key in keys else None
            if number == latest and printed != PRINTED:
                yield f"logs: attempt {number} printed {printed!r}"
            # One that was killed has printed the beginning, or nothing.
            if number < latest and not PRINTED.startswith(printed or ""):
                yield f"logs: attempt {number}, which failed, printed {printed!r}"

    def unpacked(self, key):
        return gzip.decompress(self.jobs.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).decode()

    def output(self, number):
        """Key to total; a row that is there twice makes the total wrong."""
        found = {}
        for key in self.jobs.keys(f"out/{number}/"):
            if "/part-" in key:
                for line in self.jobs.text(key).splitlines():
                    row = json.loads(line)
                    found[row["key"]] = found.get(row["key"], 0) + row["total"]
        return found

    def listed(self):
        """Every job run of the application and its state, as the API lists them now."""
        pages = self.jobs.emr.get_paginator("list_job_runs").paginate(applicationId=self.jobs.application)
        return {run["id"]: run["state"] for page in pages for run in page["jobRuns"]}
