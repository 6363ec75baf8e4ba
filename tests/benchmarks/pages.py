#!/usr/bin/env python3
"""What a page of ListJobRuns costs with 1,000 job runs in the store and with 1,000,000.

    tests/benchmarks/pages.py [--few 1000] [--many 1000000] [--seconds 15] [--dist DIR]

One client turns to the first page of 50 again and again. The few are written by the store's own code; the rest are copies
of their rows with identifiers and times of their own, made within SQLite, since that is a matter of minutes. Ten gigabytes
of disk while it runs.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

import contextlib
import sqlite3

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
    from measured import alone, build_load, copy_job, drive, job_to_copy

    load = build_load()
    bars = Bars()
    with alone("pages") as coordinator:
        application, job = job_to_copy(coordinator, load)

        def page():
            coordinator.start()
            measured = drive(load, coordinator, "list", "--application", application, "--clients", 1, "--seconds", options.seconds)
            coordinator.stop()
            return measured["p50_ms"]

        copy_job(load, coordinator.database, job, options.few)
        few = page()
        multiply(coordinator.database, job, options.few, options.many)
        many = page()
        print(f"one client, pages of 50; {machine()}")
        bars.tell(f"median with {options.many} job runs beside {options.few}", f"{many / few:.2f} ({many:.2f} and {few:.2f} ms)",
                  f"at most {RATIO}", many / few <= RATIO)
    bars.exit()


if __name__ == "__main__":
    main()
