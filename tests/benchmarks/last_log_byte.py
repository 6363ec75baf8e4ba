#!/usr/bin/env python3
"""How long after a driver's end the last byte of its log is in the bucket.

    tests/benchmarks/last_log_byte.py [--rounds 2] [--burst 120] [--dist DIR]

A driver logs 1 MiB a second for 20 seconds; another one logs `--burst` MiB at once and ends, nearly a whole part, which is the most that
can be left to ship at an end. The end is the moment that the keeper writes into `exit.json`; the log has arrived when that version of
`SPARK_DRIVER/stdout.gz` is first seen in the bucket that holds every line, the last one included.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

import gzip
import json
import time

from bench import Bars, Disk, choose_dist, in_the_virtual_environment, machine, of_a_built_tree

in_the_virtual_environment()

# Seconds.
LIMIT = 5
# Lines as text compresses: a number, and words that it picks.
LOGS = """
import sys, time
WORDS = "executor stage task shuffle block memory disk broadcast partition written bytes in for from the driver".split()
def mebibyte(number):
    lines, size = [], 0
    while size < 1 << 20:
        seed = number * 1_000_003 + len(lines) * 7919
        line = f"{number} {len(lines)} " + " ".join(WORDS[(seed >> shift) % len(WORDS)] for shift in range(0, 24, 3)) + f" {seed}"
        lines.append(line)
        size += len(line) + 1
    print("\\n".join(lines))
mebibytes, seconds = int(sys.argv[1]), float(sys.argv[2])
for number in range(mebibytes):
    mebibyte(number)
    sys.stdout.flush()
    time.sleep(seconds)
print("the last line", flush=True)
"""


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="of each kind")
    parser.add_argument("--burst", type=int, default=120, help="MiB that are logged at once; below 128, a part")
    return parser.parse_args()


def end_of_driver(data_dir):
    """The driver's recorded end in seconds since the epoch, while its directory is there."""
    from watch import worker_dirs
    for directory in worker_dirs(data_dir).glob("*"):
        try:
            if json.loads((directory / "spec.json").read_text())["kind"] == "SPARK_DRIVER":
                return json.loads((directory / "exit.json").read_text())["ended_at_unix_ms"] / 1000
        except (OSError, ValueError):
            continue  # It runs, or it is being made or removed.
    return None


def arrival(up, jobs, job, deadline):
    """Seconds from the driver's end to the arrival of the last version of its log; and that version's text."""
    from botocore.exceptions import ClientError
    key = f"{jobs.log_prefix(job)}SPARK_DRIVER/stdout.gz"
    ended, version, seen, until = None, None, None, time.monotonic() + deadline
    while ended is None or jobs.get(job)["state"] not in {"SUCCESS", "FAILED"} or time.time() < ended + 1:
        assert time.monotonic() < until, f"job run {job} did not end: {jobs.get(job)}"
        ended = ended or end_of_driver(up.data_dir)
        try:
            found = jobs.s3.head_object(Bucket=jobs.bucket, Key=key)["ETag"]
        except ClientError:
            found = None
        if found != version:
            version, seen = found, time.time()
        time.sleep(0.01)
    text = gzip.decompress(jobs.s3.get_object(Bucket=jobs.bucket, Key=key)["Body"].read())
    return seen - ended, text


def main():
    options = arguments()
    choose_dist(options.dist)
    from lab import Hearth
    from measured import first_job, running

    up = Hearth("last-log-byte")
    bars = Bars()
    with running(up):
        jobs, job = first_job(up, "print(1)", "first")
        jobs.wait(job)
        script = jobs.put("logs.py", LOGS)
        disk = Disk(up.data_dir).measure()
        kinds = {"steady": (20, 1), "burst": (options.burst, 0)}
        taken = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind, (mebibytes, pause) in kinds.items():
                job = jobs.start(script, mebibytes, pause)
                late, text = arrival(up, jobs, job, 180)
                lines = text.decode().splitlines()
                assert lines[-1] == "the last line" and len(text) > mebibytes << 20, f"the {kind} log of job run {job} is not whole"
                taken[kind].append(late)
                print(f"{kind}: {len(text) / (1 << 20):.0f} MiB, the last byte {late:.2f} s after the driver's end", flush=True)
        disk.measure()
        print(f"slowest of {options.rounds}; {machine()}; {disk}")
        names = {"steady": "last log byte, 1 MiB/s until the end", "burst": f"last log byte, {options.burst} MiB at the end"}
        for kind, name in names.items():
            bars.tell(name, f"{max(taken[kind]):.2f} s", f"at most {LIMIT} s", max(taken[kind]) <= LIMIT)
    bars.exit()


if __name__ == "__main__":
    main()
