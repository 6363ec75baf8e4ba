#!/usr/bin/env python3
"""Sends requests that are nearly right, a million by default: nothing that a client sends may break the coordinator.

usage: python3 tests/endurance/mutated_requests.py [--requests N] [--seed N] [--dist DIR]

`hearth-load fuzz` (tests/load) makes them at random from a right request of each operation of EMR Serverless and of some of
IAM, STS and S3: other members, values, paths, methods and headers, bodies of other types, depths and sizes, spoilt bytes and
signatures; some are no HTTP. A coordinator without hosts answers them. No answer may be a failure of the server or miss what
every error has, none may take 20 seconds, and the connection is kept unless the request was too large. In the end the
coordinator must not have panicked, must answer as before, and must hold no more memory than `MOST_MIB`.

Wants `deploy/build.sh` and the Python of `tests/run.sh`. Exits with 1 when something of that does not hold.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent / "benchmarks")]

from bench import Bars, choose_dist, in_the_virtual_environment, of_a_built_tree, proportional_set_size

in_the_virtual_environment()

# An idle coordinator holds some forty; what was accepted, and waits, is a few kilobytes each.
MOST_MIB = 256


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same requests")
    return parser.parse_args()


def main():
    options = arguments()
    choose_dist(options.dist)
    from lab import RELEASE, client_of
    from measured import alone, build_load, job_request

    load = build_load()
    bars = Bars()
    with alone("mutated") as coordinator:
        coordinator.start()
        emr = client_of(coordinator, "emr-serverless")
        role = coordinator.settings()["HEARTH_ROLE_ARN"]
        application = emr.create_application(
            name="mutated", releaseLabel=RELEASE, type="SPARK",
            schedulerConfiguration={"queueTimeoutMinutes": 15, "maxConcurrentRuns": 1})["applicationId"]
        job = emr.start_job_run(**job_request(application, role))["jobRunId"]
        ids = coordinator.home / "ids"
        ids.write_text(f"{job}\n")
        begin = time.monotonic()
        done = subprocess.run(
            [load, "fuzz", "--application", application, "--ids", ids, "--requests", str(options.requests), "--seed", str(options.seed)],
            env=coordinator.environment(), check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.monotonic() - begin
        said = json.loads(done.stdout)
        print(f"seed {options.seed}: {said['requests']} requests in {seconds:.0f} s; {json.dumps(said['answers'])}")
        for fault in said["first_faults"]:
            print(f"fault: {fault}")
        bars.tell("requests answered wrongly, or not at all", said["faults"], "none", said["faults"] == 0)
        panics = coordinator.log.read_text(errors="replace").count("panicked at")
        bars.tell("panics", panics, "none", panics == 0)
        held = proportional_set_size(coordinator.process.pid) / 1024
        bars.tell("memory that the coordinator holds in the end", f"{held:.0f} MiB", f"at most {MOST_MIB} MiB", held <= MOST_MIB)
        shown = emr.get_job_run(applicationId=application, jobRunId=job)["jobRun"]
        bars.tell("the job run that was there before", shown["name"], "as it was", shown["name"] == "like")
    bars.exit()


if __name__ == "__main__":
    main()
