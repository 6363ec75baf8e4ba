#!/usr/bin/env python3
"""Kills the driver of a streaming job run again and again: it must go on from its checkpoint, without a row lost or told twice.

usage: python3 tests/endurance/streaming.py [--kills N] [--seed N]

The job reads files as they come and writes what it read, in batches of a second. Each attempt but the last is killed at a random
moment while there are files that it has not read; the failure beyond `--kills`, within the hour, ends the job run, as its retry
policy says (`maxFailedAttemptsPerHour`, guide:3229). What the sink has committed must then be every row, once.
Wants `deploy/build.sh` and the Python of `tests/run.sh`. A few minutes.
"""

import argparse
import json
import os
import random
import signal
import sys
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from endurance.watch import workers
from lab import wait_for

PROGRAM = textwrap.dedent("""
    import sys
    from pyspark.sql import SparkSession
    given, out, checkpoint = sys.argv[1:]
    spark = SparkSession.builder.getOrCreate()
    rows = spark.readStream.schema("number long").option("maxFilesPerTrigger", 1).json(given)
    sink = rows.writeStream.format("json").option("path", out).option("checkpointLocation", checkpoint)
    sink.trigger(processingTime="1 second").start().awaitTermination()
    """)
ROWS_PER_FILE = 20
# For an attempt to begin and to commit a batch, pauses between attempts included, on a machine that others use too.
PATIENCE = 240


class Stream:
    """A streaming job run and the files that it is given."""

    def __init__(self, hearth, jobs, kills):
        self.hearth, self.jobs, self.files = hearth, jobs, 0
        self.out = f"stream-{os.urandom(4).hex()}"
        places = [f"s3://{jobs.bucket}/{self.out}/{name}" for name in ("given/", "out/", "checkpoint/")]
        self.give(1)
        self.job = jobs.start(jobs.put("stream.py", PROGRAM), *places, mode="STREAMING",
                              retryPolicy={"maxFailedAttemptsPerHour": kills + 1})

    def give(self, files):
        for number in range(self.files, self.files + files):
            rows = range(number * ROWS_PER_FILE, (number + 1) * ROWS_PER_FILE)
            self.jobs.s3.put_object(Bucket=self.jobs.bucket, Key=f"{self.out}/given/{number:05}.json",
                                    Body="".join(json.dumps({"number": row}) + "\n" for row in rows))
        self.files += files

    def committed(self):
        """The rows of every file that the sink's own log names: what was written and not committed counts for nobody."""
        names = set()
        for key in self.jobs.keys(f"{self.out}/out/_spark_metadata/"):
            if not key.rsplit("/", 1)[-1].startswith("."):
                names |= {json.loads(line)["path"].rsplit("/", 1)[-1] for line in self.jobs.text(key).splitlines()[1:]}
        return sorted(json.loads(line)["number"] for name in names for line in self.jobs.text(f"{self.out}/out/{name}").splitlines())

    def wait_for_all(self):
        """Until every row that was given is committed."""
        def is_all():
            run = self.jobs.get(self.job)
            assert run["state"] not in {"FAILED", "CANCELLED"}, run["stateDetails"]
            return len(self.committed()) >= self.files * ROWS_PER_FILE
        wait_for(f"{self.files * ROWS_PER_FILE} rows", is_all, PATIENCE, interval=0.5)

    def kill(self):
        """Its driver, once it has one; nothing in it can notice."""
        def driver():
            return [one for one in workers(self.hearth.data_dir) if one.job == self.job and one.kind == "SPARK_DRIVER"]
        os.kill(wait_for("its driver", driver, PATIENCE)[0].process.pid, signal.SIGKILL)


def survive(hearth, jobs, kills, chance, say=lambda text: None):
    """The whole story, with `kills` drivers killed that others follow, and one more."""
    stream = Stream(hearth, jobs, kills)
    for attempt in range(1, kills + 2):
        jobs.wait_until(stream.job, f"attempt {attempt}",
                        lambda run: (run["attempt"], run["state"]) == (attempt, "RUNNING"), PATIENCE)
        stream.wait_for_all()
        say(f"attempt {attempt} has committed {stream.files * ROWS_PER_FILE} rows")
        if attempt <= kills:
            stream.give(4)
            time.sleep(chance.uniform(0, 3))  # The moment is the test's, nothing is waited for.
        stream.kill()
    run = jobs.wait(stream.job, "FAILED", PATIENCE)
    assert run["attempt"] == kills + 1 and "signal 9" in run["stateDetails"], run
    asked = dict(applicationId=jobs.application, jobRunId=stream.job)
    pages = jobs.emr.get_paginator("list_job_run_attempts").paginate(**asked)
    states = [one["state"] for page in pages for one in page["jobRunAttempts"]]
    assert states == ["FAILED"] * (kills + 1), states
    rows = stream.committed()
    assert rows == list(range(stream.files * ROWS_PER_FILE)), f"{len(rows)} rows of {stream.files * ROWS_PER_FILE}"
    return len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="drivers that are killed and replaced; 1 to 9")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
    from lab import Hearth
    from measured import first_job, running
    up = Hearth("streaming")
    with running(up):
        jobs, job = first_job(up, "print(1)", "first")
        jobs.wait(job)
        rows = survive(up, jobs, options.kills, random.Random(options.seed), lambda text: print(text, flush=True))
    print(f"{options.kills} drivers were killed and replaced, one more ended the job run: {rows} rows, each once (seed {options.seed})")


if __name__ == "__main__":
    main()
