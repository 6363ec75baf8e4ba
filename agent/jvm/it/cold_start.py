"""Where a cold start's time goes: spark-submit on a local cluster against driver and executor under the launcher.

    python3 it/cold_start.py --spark-home DIR [--rounds N] [--python] [--archive]

Runs are interleaved. `--archive` adds a third series whose JVMs share classes from an archive made in a training job.
Prints medians in seconds from the start of the first process.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from fake_agent import Job, Lab

SIZE = {"spark.executor.instances": "1", "spark.executor.memory": "1g", "spark.executor.cores": "1"}
SCRIPT = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.sparkContext.parallelize(range(100), 2).map(lambda x: x + 1).sum())
spark.stop()
"""


def events(directory):
    """Times of the first executor's registration and the first task, from the event log."""
    [log] = [p for p in directory.iterdir() if not p.name.endswith(".crc")]
    found = {}
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["Event"] == "SparkListenerExecutorAdded":
            found.setdefault("registered", event["Timestamp"] / 1000)
        elif event["Event"] == "SparkListenerApplicationStart":
            found.setdefault("context", event["Timestamp"] / 1000)
        elif event["Event"] == "SparkListenerTaskStart":
            found.setdefault("first_task", event["Task Info"]["Launch Time"] / 1000)
    return found


def local_cluster(lab, args):
    root = lab.root / "local-cluster"
    shutil.rmtree(root, ignore_errors=True)
    (root / "events").mkdir(parents=True)
    (root / "work").mkdir()
    command = [str(lab.spark_home / "bin/spark-submit"), "--master", "local-cluster[1,1,2048]",
               "--conf", "spark.eventLog.enabled=true", "--conf", f"spark.eventLog.dir=file://{root / 'events'}",
               "--conf", "spark.ui.port=0", "--conf", "spark.driver.host=127.0.0.1"]
    for key, value in SIZE.items():
        command += ["--conf", f"{key}={value}"]
    began = time.time()
    environment = {**os.environ, "SPARK_HOME": str(lab.spark_home)}
    with open(root / "log", "wb") as log:
        subprocess.run([*command, *args], cwd=root / "work", env=environment, stdout=log, stderr=log, check=True)
    times = {name: at - began for name, at in events(root / "events").items()}
    times["exit"] = time.time() - began
    return times


def hearth(lab, name, args, flags=()):
    job = Job(Lab(lab.spark_home, lab.jars, lab.root, flags=flags), name, args, conf=SIZE)
    assert job.wait() == 0, job.driver.log() + job.driver.log("stdout")
    began = job.driver.times["spawn"]
    executor = job.executors["1"].times
    times = {n: job.driver.times[n] - began for n in ("started", "register_app", "finished", "exit")}
    times.update({"executor_" + n: executor[n] - began for n in ("spawn", "started")})
    times.update({n: at - began for n, at in events(job.lab.root / "events").items()})
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spark-home", required=True)
    parser.add_argument("--root", default="/tmp/hearth-cold-start")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", action="store_true")
    parser.add_argument("--archive", action="store_true")
    parser.add_argument("--flag", action="append", default=[], help="adds a series with this JVM flag")
    options = parser.parse_args()
    lab = Lab.from_build(options.spark_home, Path(__file__).parent.parent, options.root)
    args = ["--class", "org.apache.spark.examples.SparkPi", str(lab.examples), "2"]
    if options.python:
        script = lab.root / "cold.py"
        script.write_text(SCRIPT)
        args = [str(script)]
    series = {"local-cluster": lambda: local_cluster(lab, args), "hearth": lambda: hearth(lab, "hearth", args)}
    if options.flag:
        series["hearth+flags"] = lambda: hearth(lab, "hearth-flags", args, options.flag)
    if options.archive:
        archives = lab.train()
        shared = f"-XX:SharedArchiveFile={archives['driver']}"

        def with_archive():
            job_flags = {"spark.executor.extraJavaOptions": f"-XX:SharedArchiveFile={archives['executor']}"}
            return hearth_with(lab, args, job_flags, [shared])
        series["hearth+archive"] = with_archive
    results = {name: [] for name in series}
    for round_number in range(options.rounds):
        for name, run in series.items():
            results[name].append(run())
            first = results[name][-1]["first_task"]
            print(f"round {round_number + 1} {name}: first task {first:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    for name, runs in results.items():
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(name + ": " + "  ".join(f"{k} {v:.2f}" for k, v in sorted(medians.items(), key=lambda kv: kv[1])))
    base = statistics.median(r["first_task"] for r in results["local-cluster"])
    for name, runs in results.items():
        print(f"{name}: {statistics.median(r['first_task'] for r in runs) / base:.2f} × local-cluster")


def hearth_with(lab, args, conf, driver_flags):
    job = Job(lab, "hearth-archive", args, conf={**SIZE, **conf}, driver_opts=driver_flags)
    assert job.wait() == 0, job.driver.log() + job.driver.log("stdout")
    began = job.driver.times["spawn"]
    times = {n: job.driver.times[n] - began for n in ("started", "register_app", "finished", "exit")}
    times.update({"executor_" + n: job.executors["1"].times[n] - began for n in ("spawn", "started")})
    times.update({n: at - began for n, at in events(job.lab.root / "events").items()})
    return times


if __name__ == "__main__":
    main()
