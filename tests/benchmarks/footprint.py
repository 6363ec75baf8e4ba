#!/usr/bin/env python3
"""What hearth itself holds and uses: agent, keepers and coordinator, idle and with a job's workers.

    tests/benchmarks/footprint.py [--seconds 60] [--dist DIR]

Memory is the proportional set size from `/proc/PID/smaps_rollup`; processor time is the process's own CPU clock. The coordinator
and its agent are those of one `hearth up`, two processes. They are measured idle after they have run a job, since what a job left
behind is held for good; the agent while nothing runs, the keepers while a driver and an executor do.

Needs `deploy/build.sh` and `bash deploy/prerequisites.sh tests`. Exits with 1 when a bar is missed.
"""

import time

from bench import Bars, choose_dist, in_the_virtual_environment, machine, of_a_built_tree, processor_seconds, proportional_set_size

in_the_virtual_environment()

AGENT_KIB, KEEPER_KIB, COORDINATOR_KIB = 16 * 1024, 1024, 40 * 1024
# Thousandths of a core.
AGENT_SHARE = 1.0


def arguments():
    parser = of_a_built_tree(__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for which processor time is counted")
    return parser.parse_args()


def main():
    options = arguments()
    choose_dist(options.dist)
    from cold_start import wait_for_archives
    from lab import Hearth, wait_for
    from measured import first_job, running
    from watch import daemons, worker_dirs, workers

    up = Hearth("footprint")
    bars = Bars()

    def memory(name, process, limit):
        held = proportional_set_size(process.pid)
        bars.tell(name, f"{held / 1024:.1f} MiB", f"at most {limit / 1024:.0f} MiB", held <= limit)
    with running(up):
        [agent], [coordinator] = daemons(up.data_dir, "hearth-agent"), daemons(up.data_dir, "hearth")
        memory("agent before its first job, memory", agent, AGENT_KIB)
        memory("coordinator before its first job, memory", coordinator, COORDINATOR_KIB)
        jobs, job = first_job(up, "import time; time.sleep(600)", "sleep")

        def both_run():
            found = workers(up.data_dir)
            return found if jobs.get(job)["state"] == "RUNNING" and len(found) == 2 else None
        running = wait_for("a driver and an executor", both_run, 300)
        keepers = [proportional_set_size(worker.keeper.pid) for worker in running]
        bars.tell("keeper, memory for each worker", f"{max(keepers)} KiB", f"at most {KEEPER_KIB} KiB", max(keepers) <= KEEPER_KIB)
        print(f"agent with two workers, memory: {proportional_set_size(agent.pid) / 1024:.1f} MiB")
        jobs.emr.cancel_job_run(applicationId=jobs.application, jobRunId=job)
        jobs.wait(job, "CANCELLED")
        wait_for("the workers to be gone", lambda: not list(worker_dirs(up.data_dir).glob("*")), 60)
        # Made once for each release, in the background: then the agent is idle.
        wait_for_archives(up.data_dir)
        # Threads for blocking calls end ten seconds after their last.
        time.sleep(15)
        before = {process: processor_seconds(process.pid) for process in (agent, coordinator)}
        begin = time.monotonic()
        time.sleep(options.seconds)
        passed = time.monotonic() - begin
        share = {process: (processor_seconds(process.pid) - used) / passed * 1000 for process, used in before.items()}
        print(f"{machine()}; processor time over {passed:.0f} s")
        memory("idle agent, memory", agent, AGENT_KIB)
        bars.tell("idle agent, processor", f"{share[agent] / 10:.3f} % of a core", f"at most {AGENT_SHARE / 10} %", share[agent] <= AGENT_SHARE)
        memory("idle coordinator, memory", coordinator, COORDINATOR_KIB)
        print(f"idle coordinator, processor: {share[coordinator] / 10:.3f} % of a core")
    bars.exit()


if __name__ == "__main__":
    main()
