"""What can be seen of drivers on all hosts of a cluster, with the moment: read from the agents' state directories, the control
groups and `/proc`, never asked for. Moments are seconds of `CLOCK_BOOTTIME`, as in leases.
"""

import json
import signal
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from lab import wait_for

LOOK_SECONDS = 0.05
# Of a task's flags in `/proc/PID/stat`.
PF_EXITING = 4


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Driver:
    """A driver as it was started, on a host that is told by its number."""
    id: str
    job: str
    attempt: int
    host: int
    lease: float
    started: float
    pid: int
    directory: Path

    def state(self):
        """RUNS, FROZEN or GONE. Whoever has a SIGKILL to take executes nothing any more, thawed or not."""
        # First: what was killed meanwhile is not taken for thawed.
        is_frozen = self._is_frozen()
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
            stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return "GONE"
        pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:"))]
        is_killed = any(mask & 1 << (signal.SIGKILL - 1) for mask in pending) or int(stat[6]) & PF_EXITING
        if is_killed or stat[0] in "ZX":
            return "GONE"
        return "FROZEN" if is_frozen else "RUNS"

    def _is_frozen(self):
        try:
            [line] = [line for line in (self.directory / "launch").read_text().splitlines() if line.startswith("freeze-cgroup ")]
            group = Path(urllib.parse.unquote(line.split(" ", 1)[1]))
            events, state = group / "cgroup.events", group / "freezer.state"
            return "frozen 1" in events.read_text() if events.exists() else state.read_text().strip() == "FROZEN"
        except (OSError, ValueError):
            return False

    def freeze_at(self):
        """When its keeper begins to freeze it, as its lease file has it now."""
        try:
            return int((self.directory / "run/lease").read_text().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return None


def drivers_on(host):
    found = []
    for directory in (host.state / "workers").glob("*"):
        try:
            spec = json.loads((directory / "spec.json").read_text())
            kept = json.loads((directory / "keeper.json").read_text())
        except (OSError, ValueError):
            continue  # It is just being made or removed.
        # A directory that is being removed has another name.
        if spec["kind"] == "SPARK_DRIVER" and spec["worker_id"] == directory.name:
            found.append(Driver(directory.name, spec["job_run_id"], spec["launch"]["attempt"], host.number,
                                spec["lease_ms"] / 1000, kept["started_at_boottime_ns"] / 1e9, kept["child_pid"], directory))
    return found


class Sightings(threading.Thread):
    """Looks at all drivers of a job run until told to stop. `said` gets each thing seen, once, with its moment."""

    def __init__(self, cluster, job, said=print):
        super().__init__(daemon=True)
        self.cluster, self.job, self.said, self.over = cluster, job, said, threading.Event()
        self.began = now()
        # By driver: its states with the moment they were first seen, and the last freezing moment that was read.
        self.drivers, self.seen, self.freezing, self.violations = {}, {}, {}, []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def note(self, text, at=None):
        self.said(f"{(at or now()) - self.began:8.2f} s  {text}")

    def run(self):
        while not self.over.wait(LOOK_SECONDS):
            self.look()

    def look(self):
        for host in self.cluster.hosts:
            for driver in drivers_on(host):
                if driver.job == self.job and driver.id not in self.drivers:
                    self.drivers[driver.id] = driver
                    self.seen[driver.id] = []
                    self.note(f"attempt {driver.attempt} started on host {driver.host}, lease {driver.lease:.0f} s", driver.started)
        acting = [driver for driver in self.drivers.values() if self.state_of(driver) == "RUNS"]
        # Seen one after the other: only those that act still were ever together.
        if len(acting) > 1 and len([driver for driver in acting if driver.state() == "RUNS"]) > 1:
            self.violations.append(f"at {now()} these drivers acted: {acting}")

    def state_of(self, driver):
        state, seen = driver.state(), self.seen[driver.id]
        self.freezing[driver.id] = driver.freeze_at() or self.freezing.get(driver.id)
        if not seen or seen[-1][1] != state:
            seen.append((now(), state))
            if len(seen) > 1:
                self.note(f"attempt {driver.attempt} is {state}")
        return state

    def states(self, attempt):
        """What an attempt's driver went through, in order; empty before it was seen."""
        return [state for driver in list(self.drivers.values()) if driver.attempt == attempt for _, state in self.seen[driver.id]]

    def moment(self, attempt, state, deadline):
        """When an attempt's driver was first seen in this state; waits for it."""
        def found():
            return next((at for driver in list(self.drivers.values()) if driver.attempt == attempt
                         for at, seen in list(self.seen[driver.id]) if seen == state), None)
        return wait_for(f"attempt {attempt} to be {state}", found, deadline, LOOK_SECONDS)

    def driver(self, attempt):
        [driver] = [driver for driver in self.drivers.values() if driver.attempt == attempt]
        return driver

    def lease_began(self, attempt):
        """From when the lease of an attempt counts that is moved on no more: it is frozen at two thirds (design §9)."""
        driver = self.driver(attempt)
        return self.freezing[driver.id] - driver.lease * 2 / 3
