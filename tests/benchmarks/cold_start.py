#!/usr/bin/env python3
"""How long a cold job takes to its first task, on hearth and under plain spark-submit.

    tests/benchmarks/cold_start.py [--runs 20] [--dist DIR] [--json FILE]

Both run the same Java job with the same sizes and settings from the same unpacked bundle, one after the other in turns, so that
whatever else the machine does falls on both. Measured is the time from the submission (`StartJobRun` answered; `spark-submit`
started) to the launch time of the first task in Spark's event log. The hearth is started for this and has run a job before, so
release, application and class-data archives are there; no JVM is kept warm.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`; it runs itself in the virtual environment of those. Exits with 1
when the medians' ratio is above the limit.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from bench import choose_dist, in_the_virtual_environment, of_a_built_tree

in_the_virtual_environment()

LIMIT = 1.25
CLASS = "org.apache.spark.examples.SparkPi"
# One executor of one core; local-cluster[1,1,2048] gives its one executor's worker 2 GB too.
SIZES = {"spark.driver.cores": "1", "spark.driver.memory": "1g", "spark.executor.cores": "1", "spark.executor.memory": "1g",
         "spark.executor.instances": "1", "spark.dynamicAllocation.enabled": "false"}
ARCHIVES_DEADLINE = 300
# What the agent logs of a worker, and the name of the step it ends.
STEPS = {"worker accepted": "accepted", "JVM is up": "JVM up", "driver registered": "registered",
         "worker is told what to run": "told to run"}
ORDER = ["driver accepted", "driver JVM up", "application start", "driver registered", "executor JVM up", "executor told to run",
         "executor added", "first task", "application end", "end seen"]


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each kind, after one of each that does not count")
    parser.add_argument("--json", type=Path, help="write every run's phases here")
    return parser.parse_args()


def spark_steps(events):
    """Seconds since the epoch of what the event log tells."""
    def first(kind, time_of):
        return min((time_of(event) / 1000 for event in events if event["Event"] == kind), default=None)
    steps = {
        "application start": first("SparkListenerApplicationStart", lambda event: event["Timestamp"]),
        "executor added": first("SparkListenerExecutorAdded", lambda event: event["Timestamp"]),
        "first task": first("SparkListenerTaskStart", lambda event: event["Task Info"]["Launch Time"]),
        "application end": first("SparkListenerApplicationEnd", lambda event: event["Timestamp"]),
    }
    if steps["first task"] is None:
        raise SystemExit("the event log holds no task")
    return {name: at for name, at in steps.items() if at is not None}


def agent_steps(log, job):
    """Seconds since the epoch of what the agent did for a job run's driver and first executor, in order of acceptance."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in log.read_text(errors="replace").splitlines()]
    workers, steps = [], {}
    for line in lines:
        worker = re.search(r"worker_id=(\S+)", line)
        if worker is None:
            continue
        if "worker accepted" in line and f"job_run_id={job}" in line:
            workers.append(worker[1])
        if worker[1] not in workers[:2]:
            continue
        # The scheduler places a driver before its executors.
        role = ["driver", "executor"][workers.index(worker[1])]
        for text, step in STEPS.items():
            if text in line:
                at = datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()
                steps.setdefault(f"{role} {step}", at)
    return steps


def since(begin, steps):
    return {name: steps[name] - begin for name in ORDER if name in steps}


def on_hearth(up, jobs, jar):
    job = jobs.start(f"local:///usr/lib/spark/examples/jars/{jar.name}", 1, conf=SIZES, parameters=f"--class {CLASS}")
    answered = time.time()
    jobs.wait(job)
    steps = {"end seen": time.time()} | spark_steps(jobs.events(job)) | agent_steps(up.data_dir / "agent/agent.log", job)
    return since(answered, steps)


def under_spark_submit(spark_home, java_home, jar):
    work = Path(tempfile.mkdtemp(prefix="cold-start-"))
    try:
        (work / "events").mkdir()
        conf = SIZES | {"spark.eventLog.enabled": "true", "spark.eventLog.dir": (work / "events").as_uri(),
                        "spark.authenticate": "true", "spark.authenticate.secret": "only-for-this-comparison"}
        command = [spark_home / "bin/spark-submit", "--master", "local-cluster[1,1,2048]", "--class", CLASS]
        for key, value in conf.items():
            command += ["--conf", f"{key}={value}"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "AWS_", "HEARTH_"))}
        environment |= {"JAVA_HOME": str(java_home), "SPARK_HOME": str(spark_home), "SPARK_LOCAL_IP": "127.0.0.1",
                        "SPARK_WORKER_DIR": str(work / "worker"), "SPARK_LOCAL_DIRS": str(work / "local")}
        begin = time.time()
        done = subprocess.run([*command, jar, "1"], cwd=work, env=environment, capture_output=True, text=True, timeout=300)
        end = time.time()
        if done.returncode != 0:
            raise SystemExit(f"spark-submit ended with {done.returncode}:\n{done.stderr[-3000:]}")
        log = next(path for path in (work / "events").iterdir() if path.is_file() and not path.name.endswith(".crc"))
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return since(begin, {"end seen": end} | spark_steps(events))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def java_17():
    named = os.environ.get("JAVA_HOME")
    found = [Path(named)] if named else sorted(Path("/usr/lib/jvm").glob("*17*"))
    return next(home for home in found if (home / "bin/java").exists())


def wait_for_archives(data_dir):
    """Waits until the host has the release's class-data archives; runs without them are measured too, and said so."""
    deadline = time.monotonic() + ARCHIVES_DEADLINE
    while not list(data_dir.glob("agent/state/archives/[0-9a-f]*/executor.jsa")):
        if time.monotonic() > deadline:
            print(f"no class-data archives after {ARCHIVES_DEADLINE} s: measuring without them")
            return
        time.sleep(0.5)
    print("the host has the release and its class-data archives")


def summary(name, runs):
    print(f"{name}: seconds from submission, median (slowest of {len(runs)})")
    for step in ORDER:
        values = [run[step] for run in runs if step in run]
        if values:
            print(f"  {step:<20} {statistics.median(values):6.2f}  ({max(values):.2f})")


def main():
    options = arguments()
    choose_dist(options.dist)
    # The phases are taken from what the agent logs.
    os.environ["HEARTH_LOG"] = "info,s3s=off,hearth_agent=debug"
    import boto3
    from botocore.config import Config
    from lab import BUNDLE_DEADLINE, Hearth, Jobs

    jar = options.dist.resolve() / "share/hearth/jvm/examples/spark-examples.jar"
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
        wait_for_archives(up.data_dir)
        spark_home = next(up.agent_state.glob("bundles/*/spark")).resolve()
        java_home = java_17()
        hearth, plain, loads = [], [], []
        for number in range(options.runs + 1):
            pair = on_hearth(up, jobs, jar), under_spark_submit(spark_home, java_home, jar)
            load = os.getloadavg()[0]
            # The first of each reads files from the disk that all others find in memory.
            if number:
                hearth.append(pair[0])
                plain.append(pair[1])
                loads.append(load)
            print(f"run {number}: first task after {pair[0]['first task']:.2f} s on hearth, {pair[1]['first task']:.2f} s under "
                  f"spark-submit; load {load:.1f}", flush=True)
        up.stop()
    finally:
        if up.process and up.process.poll() is None:
            up.process.kill()
        up.remove()
    print()
    summary("hearth", hearth)
    summary("spark-submit --master local-cluster[1,1,2048]", plain)
    ours, theirs = (statistics.median(run["first task"] for run in runs) for runs in (hearth, plain))
    ratio = ours / theirs
    print(f"load of this machine ({os.cpu_count()} processors): median {statistics.median(loads):.1f}, most {max(loads):.1f}")
    print(f"first task, median of {len(hearth)}: hearth {ours:.2f} s, spark-submit {theirs:.2f} s, ratio {ratio:.2f} (limit {LIMIT})")
    if options.json:
        options.json.write_text(json.dumps({"hearth": hearth, "spark_submit": plain, "load": loads, "ratio": ratio}, indent=1))
    sys.exit(0 if ratio <= LIMIT else 1)


if __name__ == "__main__":
    main()
