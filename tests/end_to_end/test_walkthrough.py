"""The reference guide's walks through the AWS CLI, command by command, as written: the tutorial (guide:528-1180), queueing
(guide:2107-2133), retries (guide:3221-3283) and tags (guide:5772-5803). They name emr-6.6.0 and emr-7.0.0; their jobs notice
no other Spark 3. Where the release under test (HEARTH_TEST_RELEASE) is too old for a walk, it is refused as in the service."""

import gzip
import json
import re
import time
import urllib.request

import pytest
from lab import BUNDLE_DEADLINE, FINAL, RELEASE, wait_for

SAMPLES = "s3://us-east-1.elasticmapreduce/emr-containers/samples/wordcount"
PARAMETERS = (
    "--conf spark.executor.cores=1 --conf spark.executor.memory=4g --conf spark.driver.cores=1 "
    "--conf spark.driver.memory=4g --conf spark.executor.instances=1")
BUCKET = "walkthrough-bucket"
TRUST = {"Version": "2012-10-17", "Statement": [{
    "Sid": "JobsOfTheService", "Action": "sts:AssumeRole", "Effect": "Allow",
    "Principal": {"Service": "emr-serverless.amazonaws.com"}}]}
# Samples to read, a bucket to fill, and a catalog that there is none of here: such actions are accepted and mean nothing.
ACCESS = {"Version": "2012-10-17", "Statement": [
    {"Sid": "ReadSamples", "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
     "Resource": ["arn:aws:s3:::*.elasticmapreduce", "arn:aws:s3:::*.elasticmapreduce/*"]},
    {"Sid": "FillBucket", "Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"],
     "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]},
    {"Sid": "UseCatalog", "Effect": "Allow", "Action": ["glue:GetDatabase", "glue:CreateTable", "glue:GetPartitions"],
     "Resource": ["*"]}]}


def is_before(label):
    """Whether the release under test is an earlier one of EMR's."""
    series = [re.fullmatch(r"emr-(\d+)\.(\d+)\.(\d+)", name) for name in (RELEASE, label)]
    tested, limit = ([int(part) for part in found.groups()] if found else [] for found in series)
    return bool(tested) and tested < limit


@pytest.fixture
def emr_cli(aws):
    return lambda *words, **options: json.loads(aws("emr-serverless", *words, **options).stdout or "null")


@pytest.fixture
def job_role(aws, tmp_path):
    """The role that the tutorial makes (guide:636-785), and removes in the end (guide:1153-1174)."""
    def iam(*words):
        return json.loads(aws("iam", *words).stdout or "null")
    (tmp_path / "trust.json").write_text(json.dumps(TRUST))
    (tmp_path / "access.json").write_text(json.dumps(ACCESS))
    role = iam("create-role", "--role-name", "WalkthroughRole",
               "--assume-role-policy-document", f"file://{tmp_path}/trust.json")["Role"]["Arn"]
    policy = iam("create-policy", "--policy-name", "WalkthroughAccess",
                 "--policy-document", f"file://{tmp_path}/access.json")["Policy"]["Arn"]
    iam("attach-role-policy", "--role-name", "WalkthroughRole", "--policy-arn", policy)
    yield role
    iam("detach-role-policy", "--role-name", "WalkthroughRole", "--policy-arn", policy)
    iam("delete-role", "--role-name", "WalkthroughRole")
    iam("delete-policy", "--policy-arn", policy)
    for gone in (("get-role", "--role-name", "WalkthroughRole"), ("get-policy", "--policy-arn", policy)):
        assert "NoSuchEntity" in aws("iam", *gone, check=False).stderr


def test_the_guides_walk_through_runs_as_written(aws, emr_cli, hearth, job_role, tmp_path):
    # Prepare storage; create an application (guide:948-955, 981-991).
    aws("s3", "mb", f"s3://{BUCKET}")
    assert BUCKET in aws("s3", "ls").stdout
    application = emr_cli("create-application", "--release-label", RELEASE, "--type", "SPARK",
                          "--name", "my-application")["applicationId"]
    assert re.fullmatch(r"[0-9a-z]{1,64}", application)
    shown = emr_cli("get-application", "--application-id", application)["application"]
    assert shown["state"] in ("CREATING", "CREATED")
    assert (shown["name"], shown["type"].upper(), shown["releaseLabel"]) == ("my-application", "SPARK", RELEASE)
    wait_for("CREATED", lambda: emr_cli("get-application", "--application-id", application)["application"]["state"] == "CREATED", 20)

    # Submit the sample (guide:1000, 1008-1031).
    aws("s3", "cp", f"{SAMPLES}/scripts/wordcount.py", f"s3://{BUCKET}/scripts/")
    driver = {"sparkSubmit": {"entryPoint": f"s3://{BUCKET}/scripts/wordcount.py",
                              "entryPointArguments": [f"s3://{BUCKET}/emr-serverless-spark/output"],
                              "sparkSubmitParameters": PARAMETERS}}
    monitoring = {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"s3://{BUCKET}/emr-serverless-spark/logs"}}}
    job = emr_cli("start-job-run", "--application-id", application, "--execution-role-arn", job_role, "--name", "my-job",
                  "--job-driver", json.dumps(driver), "--configuration-overrides", json.dumps(monitoring))["jobRunId"]

    # Review its output (guide:1090-1104).
    seen = []

    def look():
        run = emr_cli("get-job-run", "--application-id", application, "--job-run-id", job)["jobRun"]
        if not seen or seen[-1] != run["state"]:
            seen.append(run["state"])
        return run["state"] in FINAL and run
    run = wait_for("the job run's end", look, BUNDLE_DEADLINE, interval=0.5)
    assert run["state"] == "SUCCESS", run["stateDetails"]
    assert set(seen) <= {"SUBMITTED", "PENDING", "SCHEDULED", "RUNNING", "SUCCESS"}, seen
    assert (run["name"], run["executionRole"], run["jobDriver"]) == ("my-job", job_role, driver)
    assert run["totalExecutionDurationSeconds"] >= 1
    output = aws("s3", "ls", f"s3://{BUCKET}/emr-serverless-spark/output/").stdout
    assert "_SUCCESS" in output and ".csv" in output, output

    # Logs and event logs are where the guide says (guide:1099-1104, 4662-4712).
    prefix = f"s3://{BUCKET}/emr-serverless-spark/logs/applications/{application}/jobs/{job}"
    keys = aws("s3", "ls", f"{prefix}/", "--recursive").stdout
    for expected in ("SPARK_DRIVER/stdout.gz", "SPARK_DRIVER/stderr.gz", "SPARK_EXECUTOR/1/stdout.gz",
                     "SPARK_EXECUTOR/1/stderr.gz", "sparklogs/"):
        assert expected in keys, f"{expected} is missing in\n{keys}"
    aws("s3", "cp", f"{prefix}/SPARK_DRIVER/stdout.gz", tmp_path / "stdout.gz")
    assert "word counts of" in gzip.decompress((tmp_path / "stdout.gz").read_bytes()).decode()

    # The same through the `hearth` command.
    assert "word counts of" in hearth.run("logs", job).stdout
    assert job in hearth.run("list").stdout
    assert "SUCCESS" in hearth.run("explain", job).stdout

    # Clean up (guide:1126-1148). As in the service, what is started is stopped first (guide:936).
    refused = aws("emr-serverless", "delete-application", "--application-id", application, check=False)
    assert "ValidationException" in refused.stderr and "state STARTED" in refused.stderr, refused.stderr
    aws("emr-serverless", "stop-application", "--application-id", application)
    wait_for("STOPPED", lambda: emr_cli("get-application", "--application-id", application)["application"]["state"] == "STOPPED", 60)
    aws("emr-serverless", "delete-application", "--application-id", application)
    assert emr_cli("get-application", "--application-id", application)["application"]["state"] == "TERMINATED"
    aws("s3", "rm", f"s3://{BUCKET}", "--recursive")
    aws("s3api", "delete-bucket", "--bucket", BUCKET)
    assert BUCKET not in aws("s3", "ls").stdout


def test_a_job_run_is_cancelled_and_nothing_of_it_is_left(jobs, emr_cli):
    script = jobs.put("forever.py", "from pyspark.sql import SparkSession\nimport time\n"
                      "SparkSession.builder.getOrCreate()\nprint('here', flush=True)\ntime.sleep(3600)")
    job = jobs.start(script)
    jobs.wait_until(job, "RUNNING", lambda run: run["state"] == "RUNNING")
    emr_cli("cancel-job-run", "--application-id", jobs.application, "--job-run-id", job)
    start = time.monotonic()
    jobs.wait(job, expect="CANCELLED", deadline=60)
    assert time.monotonic() - start < 60
    # A cancelled job run is cancelled for good, and asking again changes nothing.
    emr_cli("cancel-job-run", "--application-id", jobs.application, "--job-run-id", job, check=False)
    assert jobs.get(job)["state"] == "CANCELLED"


def test_the_sample_bucket_is_read_only(aws, tmp_path):
    (tmp_path / "x").write_text("x")
    assert "wordcount.py" in aws("s3", "ls", f"{SAMPLES}/scripts/").stdout
    refused = aws("s3", "cp", tmp_path / "x", f"{SAMPLES}/scripts/x", check=False)
    assert refused.returncode != 0 and "AccessDenied" in refused.stderr, refused.stderr


def test_there_is_no_hive_yet_and_who_asks_for_it_is_told(aws):
    # guide:966-970.
    refused = aws("emr-serverless", "create-application", "--release-label", RELEASE, "--type", "HIVE",
                  "--name", "my-application", check=False)
    assert "ValidationException" in refused.stderr and "HIVE" in refused.stderr, refused.stderr


def test_concurrency_is_changed_as_in_the_guide(emr_cli):
    # guide:2113-2127.
    made = emr_cli("create-application", "--release-label", RELEASE, "--type", "SPARK", "--scheduler-configuration",
                   '{"maxConcurrentRuns": 1, "queueTimeoutMinutes": 30}')
    updated = emr_cli("update-application", "--application-id", made["applicationId"], "--scheduler-configuration",
                      '{"maxConcurrentRuns": 5, "queueTimeoutMinutes": 30}')["application"]
    assert updated["schedulerConfiguration"] == {"maxConcurrentRuns": 5, "queueTimeoutMinutes": 30}
    assert emr_cli("get-application", "--application-id", made["applicationId"])["application"] == updated


def test_job_runs_that_fail_are_tried_again_as_in_the_guide(aws, emr_cli, jobs):
    # guide:3221-3283: what is to run does not exist, so that each attempt fails.
    driver = {"sparkSubmit": {"entryPoint": "/usr/lib/spark/examples/jars/spark-examples-does-not-exist.jar",
                              "entryPointArguments": ["1"],
                              "sparkSubmitParameters": "--class org.apache.spark.examples.SparkPi"}}
    policies = {"BATCH": {"maxAttempts": 10}, "STREAMING": {"maxFailedAttemptsPerHour": 7}}

    def start(mode, policy):
        return ("start-job-run", "--application-id", jobs.application, "--execution-role-arn", jobs.role, "--mode", mode,
                "--retry-policy", json.dumps(policy), "--job-driver", json.dumps(driver))
    if is_before("emr-7.1.0"):
        for policy in policies.items():
            refused = aws("emr-serverless", *start(*policy), check=False)
            assert "needs release emr-7.1.0 or later" in refused.stderr, refused.stderr
        return
    started = {mode: emr_cli(*start(mode, policy))["jobRunId"] for mode, policy in policies.items()}
    for mode, job in started.items():
        jobs.wait_until(job, "its second attempt", lambda run: run["attempt"] > 1)
        of_job = ("--application-id", jobs.application, "--job-run-id", job)
        first = emr_cli("get-job-run", *of_job, "--attempt", "1")["jobRun"]
        assert (first["attempt"], first["mode"], first["state"]) == (1, mode, "FAILED")
        assert first["retryPolicy"].items() >= policies[mode].items()
        attempts = emr_cli("list-job-run-attempts", *of_job)["jobRunAttempts"]
        assert {one["attempt"]: one["state"] for one in attempts}[1] == "FAILED"
        # Spark never started, so that there is no event log, but what the driver wrote.
        url = emr_cli("get-dashboard-for-job-run", *of_job, "--attempt", "1")["url"]
        log = gzip.decompress(urllib.request.urlopen(url, timeout=30).read()).decode()
        assert "spark-examples-does-not-exist.jar" in log, log
        emr_cli("cancel-job-run", *of_job)
        jobs.wait(job, expect="CANCELLED")


def test_tags_are_set_listed_and_taken_away_as_in_the_guide(emr_cli, application):
    # guide:5772-5803.
    arn = emr_cli("get-application", "--application-id", application)["application"]["arn"]
    emr_cli("tag-resource", "--resource-arn", arn, "--tags", "team=devs")
    assert emr_cli("list-tags-for-resource", "--resource-arn", arn) == {"tags": {"team": "devs"}}
    emr_cli("untag-resource", "--resource-arn", arn, "--tag-keys", "team")
    assert emr_cli("list-tags-for-resource", "--resource-arn", arn) == {"tags": {}}
