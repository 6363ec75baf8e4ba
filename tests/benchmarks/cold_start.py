#!/usr/bin/env python3
"""How long a cold job takes to its first task, on hearth and under plain spark-submit.

    tests/benchmarks/cold_start.py [--runs 20] [--json FILE]

Both run the same Java job with the same sizes from the same unpacked bundle, one after the other in turns, so that whatever else
the machine does falls on both. Measured is the time from the submission (`StartJobRun` answered; `spark-submit` started) to
the launch time of the first task in Spark's event log. The hearth is started for this and has run the job once before, so
release and application are there; no JVM is kept warm.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`; it runs itself in the virtual environment of those.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("HEARTH_CACHE", Path.home() / ".cache/hearth")) / "venv/bin/python3"
if Path(sys.prefix) != VENV.parents[1] and VENV.exists():
    os.execv(VENV, [str(VENV), *sys.argv])
sys.path.insert(0, str(ROOT / "tests/end_to_end"))

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from lab import BUNDLE_DEADLINE, DIST, Hearth, Jobs  # noqa: E402

JAR = DIST / "share/hearth/jvm/examples/spark-examples.jar"
CLASS = "org.apache.spark.examples.SparkPi"
LIMIT = 1.25
# One executor of one core; local-cluster[1,1,2048] gives its one executor 2 GB too.
CONF = {"spark.driver.cores": "1", "spark.driver.memory": "1g", "spark.executor.cores": "1", "spark.executor.memory": "1g",
        "spark.executor.instances": "1", "spark.dynamicAllocation.enabled": "false"}


def first_task(events):
    """Milliseconds since the epoch at which the first task was launched."""
    launched = [event["Task Info"]["Launch Time"] for event in events if event["Event"] == "SparkListenerTaskStart"]
    if not launched:
        raise SystemExit("the event log holds no task")
    return min(launched)


def application_start(events):
    return next(event["Timestamp"] for event in events if event["Event"] == "SparkListenerApplicationStart")


def executor_added(events):
    return next(event["Timestamp"] for event in events if event["Event"] == "SparkListenerExecutorAdded")


def phases(submitted_ms, events, running_ms=None):
    """Seconds from the submission to each step."""
    steps = {"application": application_start(events), "executor": executor_added(events), "first task": first_task(events)}
    if running_ms:
        steps = {"driver": running_ms} | steps
    return {name: (at - submitted_ms) / 1000 for name, at in steps.items()}


def on_hearth(jobs):
    job = jobs.start(f"local:///usr/lib/spark/examples/jars/{JAR.name}", 1, conf=CONF, parameters=f"--class {CLASS}")
    answered = time.time() * 1000
    run = jobs.wait(job)
    started = run.get("startedAt")
    return phases(answered, jobs.events(job), started and started.timestamp() * 1000)


def under_spark_submit(spark_home, java_home, work):
    events_dir = Path(tempfile.mkdtemp(dir=work))
    conf = CONF | {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events_dir.as_uri(), "spark.authenticate": "false"}
    command = [spark_home / "bin/spark-submit", "--master", "local-cluster[1,1,2048]", "--class", CLASS]
    for key, value in conf.items():
        command += ["--conf", f"{key}={value}"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "AWS_"))}
    environment |= {"JAVA_HOME": str(java_home), "SPARK_HOME": str(spark_home), "SPARK_LOCAL_IP": "127.0.0.1"}
    submitted = time.time() * 1000
    done = subprocess.run([*command, JAR, "1"], cwd=work, env=environment, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise SystemExit(f"spark-submit ended with {done.returncode}:\n{done.stderr[-3000:]}")
    log = next(path for path in events_dir.iterdir() if path.is_file())
    return phases(submitted, [json.loads(line) for line in log.read_text().splitlines()])


def java_17():
    named = os.environ.get("JAVA_HOME")
    found = [Path(named)] if named else sorted(Path("/usr/lib/jvm").glob("*17*"))
    return next(home for home in found if (home / "bin/java").exists())


def summary(name, runs):
    print(f"{name}: seconds from submission, median (and slowest of {len(runs)})")
    for phase in runs[0]:
        values = [run[phase] for run in runs if phase in run]
        print(f"  {phase:<12} {statistics.median(values):6.2f}  ({max(values):.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="of each kind, after one of each that does not count")
    parser.add_argument("--json", type=Path, help="write every run's phases here")
    options = parser.parse_args()
    up = Hearth("cold-start")
    try:
        up.start()
        given = up.settings()
        client = {"endpoint_url": up.endpoint, "region_name": given["AWS_DEFAULT_REGION"],
                  "aws_access_key_id": given["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": given["AWS_SECRET_ACCESS_KEY"]}
        emr = boto3.client("emr-serverless", config=Config(proxies={}), **client)
        s3 = boto3.client("s3", config=Config(proxies={}, s3={"addressing_style": "path"}), **client)
        s3.create_bucket(Bucket="cold-start")
        application = emr.create_application(name="cold-start", releaseLabel="emr-7.6.0", type="SPARK")["applicationId"]
        jobs = Jobs(emr, s3, application, given["HEARTH_ROLE_ARN"], "cold-start")
        jobs.run(jobs.put("first.py", "print(1)"), deadline=BUNDLE_DEADLINE)
        spark_home = next(up.data_dir.glob("**/bundles/*/spark")).resolve()
        java_home = java_17()
        hearth, plain = [], []
        for number in range(options.runs + 1):
            work = Path(tempfile.mkdtemp(prefix="cold-start-"))
            pair = on_hearth(jobs), under_spark_submit(spark_home, java_home, work)
            shutil.rmtree(work, ignore_errors=True)
            # The first of each reads files from the disk that all others find in memory.
            if number:
                hearth.append(pair[0])
                plain.append(pair[1])
            print(f"run {number}: hearth {pair[0]['first task']:.2f} s, spark-submit {pair[1]['first task']:.2f} s", flush=True)
        up.stop()
    finally:
        if up.process and up.process.poll() is None:
            up.process.kill()
        up.remove()
    print()
    summary("hearth", hearth)
    summary("spark-submit --master local-cluster[1,1,2048]", plain)
    medians = [statistics.median(run["first task"] for run in runs) for runs in (hearth, plain)]
    ratio = medians[0] / medians[1]
    print(f"ratio of the medians to the first task: {ratio:.2f} (limit {LIMIT})")
    if options.json:
        options.json.write_text(json.dumps({"hearth": hearth, "spark_submit": plain, "ratio": ratio}, indent=1))
    sys.exit(0 if ratio <= LIMIT else 1)


if __name__ == "__main__":
    main()
