#!/usr/bin/env python3
"""What a page of ListJobRuns costs with 1,000 job runs in the store and with 1,000,000.

    tests/benchmarks/pages.py [--few 1000] [--many 1000000] [--seconds 15] [--dist DIR]

One client turns to the first page of 50 again and again. The few are written by the store's own code; the rest are copies
of their rows with identifiers and times of their own, made within SQLite, since that is a matter of minutes. Ten gigabytes
of disk while it runs.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

import contextlib
import json
import sqlite3
import subprocess

from bench import Bars, choose_dist, in_the_virtual_environment, machine, of_a_built_tree

in_the_virtual_environment()

# A page among many beside a page among few: half as much again is noise and the depth of a B-tree.
RATIO = 1.5
# Copies in one transaction.
GROUP = 50_000


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--few", type=int, default=1000, help="job runs at first")
    parser.add_argument("--many", type=int, default=1_000_000, help="job runs at last")
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement")
    return parser.parse_args()


def multiply(database, job, first, last):
    """Copies of a job run, each a second older than the one before."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as store:
        store.execute("PRAGMA synchronous = OFF")
        columns = [row[1] for row in store.execute("PRAGMA table_info(job_runs)")]
        new = {"id": "printf('%016x', n.i)", "created_at": "of.created_at - 1000 * n.i",
               "row": "json_set(of.row, '$.id', printf('%016x', n.i), '$.created_at', of.created_at - 1000 * n.i)"}
        chosen = ", ".join(new.get(column, f"of.{column}") for column in columns)
        for begin in range(first, last, GROUP):
            store.execute(
                f"WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2) "
                f"INSERT INTO job_runs ({', '.join(columns)}) SELECT {chosen} FROM n, job_runs AS of WHERE of.id = ?3",
                (begin, min(begin + GROUP, last), job))
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def main():
    options = arguments()
    choose_dist(options.dist)
    from lab import RELEASE, client_of
    from measured import Coordinator, build_load, job_request

    load = build_load()
    coordinator = Coordinator("pages")
    bars = Bars()
    try:
        coordinator.prepare()
        subprocess.run([load, "release", "--database", coordinator.database, "--label", RELEASE], check=True)
        coordinator.start()
        emr = client_of(coordinator, "emr-serverless")
        application = emr.create_application(name="pages", releaseLabel=RELEASE, type="SPARK")["applicationId"]
        job = emr.start_job_run(**job_request(application, coordinator.settings()["HEARTH_ROLE_ARN"]))["jobRunId"]
        emr.cancel_job_run(applicationId=application, jobRunId=job)
        coordinator.stop()

        ids = coordinator.home / "ids"

        def page():
            coordinator.start()
            done = subprocess.run(
                [load, "drive", "list", "--application", application, "--ids", ids, "--clients", "1", "--seconds", str(options.seconds)],
                env=coordinator.environment(), check=True, capture_output=True, text=True)
            coordinator.stop()
            return json.loads(done.stdout)["p50_ms"]

        with ids.open("w") as file:
            subprocess.run([load, "seed", "--database", coordinator.database, "--like", job, "--count", str(options.few)],
                           stdout=file, check=True)
        few = page()
        multiply(coordinator.database, job, options.few, options.many)
        many = page()
        print(f"one client, pages of 50; {machine()}")
        bars.tell(f"median with {options.many} job runs beside {options.few}", f"{many / few:.2f} ({many:.2f} and {few:.2f} ms)",
                  f"at most {RATIO}", many / few <= RATIO)
    finally:
        coordinator.kill()
        coordinator.remove()
    bars.exit()


if __name__ == "__main__":
    main()
