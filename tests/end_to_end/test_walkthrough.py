"""The reference guide's walk through the AWS CLI (guide:940-1180), command by command, as written."""

import gzip
import json
import re
import time

import pytest
from lab import BUNDLE_DEADLINE, FINAL, wait_for

SAMPLES = "s3://us-east-1.elasticmapreduce/emr-containers/samples/wordcount"
PARAMETERS = (
    "--conf spark.executor.cores=1 --conf spark.executor.memory=4g --conf spark.driver.cores=1 "
    "--conf spark.driver.memory=4g --conf spark.executor.instances=1")


@pytest.fixture
def emr_cli(aws):
    return lambda *words, **options: json.loads(aws("emr-serverless", *words, **options).stdout or "null")


def test_the_guides_walk_through_runs_as_written(aws, emr_cli, hearth, tmp_path):
    bucket = "walkthrough-bucket"
    role = hearth.settings()["HEARTH_ROLE_ARN"]

    # Prepare storage; create an application (guide:948-955, 981-991).
    aws("s3", "mb", f"s3://{bucket}")
    assert bucket in aws("s3", "ls").stdout
    application = emr_cli("create-application", "--release-label", "emr-7.6.0", "--type", "SPARK",
                          "--name", "my-application")["applicationId"]
    assert re.fullmatch(r"[0-9a-z]{1,64}", application)
    shown = emr_cli("get-application", "--application-id", application)["application"]
    assert shown["state"] in ("CREATING", "CREATED")
    assert (shown["name"], shown["type"].upper(), shown["releaseLabel"]) == ("my-application", "SPARK", "emr-7.6.0")
    wait_for("CREATED", lambda: emr_cli("get-application", "--application-id", application)["application"]["state"] == "CREATED", 20)

    # Submit the sample (guide:1000, 1008-1031).
    aws("s3", "cp", f"{SAMPLES}/scripts/wordcount.py", f"s3://{bucket}/scripts/")
    driver = {"sparkSubmit": {"entryPoint": f"s3://{bucket}/scripts/wordcount.py",
                              "entryPointArguments": [f"s3://{bucket}/emr-serverless-spark/output"],
                              "sparkSubmitParameters": PARAMETERS}}
    monitoring = {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"s3://{bucket}/emr-serverless-spark/logs"}}}
    job = emr_cli("start-job-run", "--application-id", application, "--execution-role-arn", role, "--name", "my-job",
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
    assert (run["name"], run["executionRole"], run["jobDriver"]) == ("my-job", role, driver)
    assert run["totalExecutionDurationSeconds"] >= 1
    output = aws("s3", "ls", f"s3://{bucket}/emr-serverless-spark/output/").stdout
    assert "_SUCCESS" in output and ".csv" in output, output

    # Logs and event logs are where the guide says (guide:1099-1104, 4662-4712).
    prefix = f"s3://{bucket}/emr-serverless-spark/logs/applications/{application}/jobs/{job}"
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

    # Clean up (guide:1126-1148).
    aws("emr-serverless", "stop-application", "--application-id", application)
    wait_for("STOPPED", lambda: emr_cli("get-application", "--application-id", application)["application"]["state"] == "STOPPED", 60)
    aws("emr-serverless", "delete-application", "--application-id", application)
    assert emr_cli("get-application", "--application-id", application)["application"]["state"] == "TERMINATED"
    aws("s3", "rm", f"s3://{bucket}", "--recursive")
    aws("s3api", "delete-bucket", "--bucket", bucket)
    assert bucket not in aws("s3", "ls").stdout


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


def test_concurrency_is_changed_as_in_the_guide(emr_cli):
    # guide:2113-2127.
    made = emr_cli("create-application", "--release-label", "emr-7.6.0", "--type", "SPARK", "--scheduler-configuration",
                   '{"maxConcurrentRuns": 1, "queueTimeoutMinutes": 30}')
    updated = emr_cli("update-application", "--application-id", made["applicationId"], "--scheduler-configuration",
                      '{"maxConcurrentRuns": 5, "queueTimeoutMinutes": 30}')["application"]
    assert updated["schedulerConfiguration"] == {"maxConcurrentRuns": 5, "queueTimeoutMinutes": 30}
    assert emr_cli("get-application", "--application-id", made["applicationId"])["application"] == updated
