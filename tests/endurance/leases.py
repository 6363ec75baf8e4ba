#!/usr/bin/env python3
"""Loses a host in every way for longer than a lease, with leases as long as they are by default, and says what is seen when.

usage: python3 tests/endurance/leases.py [--only WORD]

Each story is one job run whose driver is on the host that is lost: with another attempt on another host, and without, frozen
for 45 seconds and for five minutes. It takes half an hour. Wants root (network namespaces, control groups), `deploy/build.sh`
and the Python of `tests/run.sh`.
"""

import argparse
import sys
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "several_hosts")]

from hosts import Cluster, jobs_on, leftovers
from lost_hosts import LOSSES, Lengths, Story


def stories():
    """What there is to tell, by name."""
    for loss in LOSSES:
        yield f"{loss}, replaced", loss, lambda story: story.replaced()
        yield f"{loss}, waited for", loss, lambda story: story.waited_for(frozen_for=15)
    for seconds in (45, 300):
        yield f"frozen for {seconds} s", "its agent is stopped", lambda story, seconds=seconds: story.waited_for(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="only stories with this in their names")
    options = parser.parse_args()
    lengths, failed = Lengths(), []
    cluster = Cluster(settings=lengths.settings())
    try:
        jobs = jobs_on(cluster.start())
        for name, loss, tell in stories():
            if options.only not in name:
                continue
            print(f"{name}:", flush=True)
            try:
                tell(Story(cluster, jobs, lengths, loss, said=lambda text: print(text, flush=True)))
            except AssertionError:
                traceback.print_exc()
                print(cluster.tail())
                failed.append(name)
    finally:
        cluster.stop()
    if left := leftovers(cluster):
        failed.append(f"left over: {left}")
    print(f"failed: {failed}" if failed else "all as they should be")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
