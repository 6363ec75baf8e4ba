#!/usr/bin/env python3
"""How many signed requests a second the coordinator answers, with 100,000 ended job runs in its store.

    tests/benchmarks/load.py [--job-runs 100000] [--seconds 15] [--clients 32] [--dist DIR]

`tests/load` fills the store through the store's own code, signs requests beforehand, and sends them from a process of its own
over kept HTTP/1.1 connections: each client one after another, and at the end as many a second as `--rate` says, each
counted from when it was due. There is no agent, so what is started waits. The rate of `StartJobRun` is of answers, each of
which means durable; the disk is measured before and after.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

from bench import Bars, Disk, choose_dist, in_the_virtual_environment, machine, of_a_built_tree

in_the_virtual_environment()

# Answers a second: what is asked of the first release, and of the whole control plane.
STARTS, STARTS_LATER = 500, 1000
GETS, LISTS = 5000, 1000
# Of the slowest answer in a hundred, beyond what the disk takes for one in a hundred, in milliseconds.
LATEST = 25


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--job-runs", type=int, default=100_000, help="ended job runs in the store")
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rate", type=int, default=300, help="of StartJobRun in an open loop, a second")
    return parser.parse_args()


def main():
    options = arguments()
    choose_dist(options.dist)
    from measured import alone, build_load, copy_job, drive, job_to_copy

    load = build_load()
    bars = Bars()
    with alone("load") as coordinator:
        application, job = job_to_copy(coordinator, load)
        ids = coordinator.home / "ids"
        copy_job(load, coordinator.database, job, options.job_runs, ids)
        coordinator.start()

        disk = Disk(coordinator.data_dir).measure()

        def ask(operation, signed, *more):
            return drive(load, coordinator, operation, "--application", application, "--ids", ids, "--clients", options.clients,
                         "--seconds", options.seconds, "--signed", signed, *more)
        measured = {"get": ask("get", 20_000), "list": ask("list", 20_000)}
        due = ask("start", options.rate * options.seconds, "--rate", options.rate)
        measured["start"] = ask("start", 6000 * options.seconds)
        disk.measure()
        print(f"{options.job_runs} ended job runs in the store, {options.clients} clients in a closed loop; {machine()}; {disk}")
        print(f"job runs that waited in the end: {measured['start']['requests']}")

        def tell(name, operation, limit):
            answer = measured[operation]
            bars.tell(name, f"{answer['rate']:.0f}/s, p50 {answer['p50_ms']:.1f} ms, p99 {answer['p99_ms']:.1f} ms", f"at least {limit}/s",
                      answer["rate"] >= limit)
        tell("StartJobRun, durable", "start", STARTS)
        tell("StartJobRun, durable, whole control plane", "start", STARTS_LATER)
        limit = LATEST + disk.p99_ms
        bars.tell(f"StartJobRun, {options.rate} due a second", f"p50 {due['p50_ms']:.1f} ms, p99 {due['p99_ms']:.1f} ms",
                  f"p99 at most {limit:.1f} ms", due["p99_ms"] <= limit)
        tell("GetJobRun", "get", GETS)
        tell("ListJobRuns of 50", "list", LISTS)
    bars.exit()


if __name__ == "__main__":
    main()
