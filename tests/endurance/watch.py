"""What a host shows of hearth's workers: read from `/proc`, the agent's state directory and the control groups, never asked for."""

import json
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process by its number and start time: a number alone may be somebody else's by now."""
    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid):
        stat = _stat(pid)
        return cls(pid, stat[1]) if stat else None

    def is_alive(self):
        """Whether it can still execute instructions: neither gone nor a zombie."""
        stat = _stat(self.pid)
        return bool(stat) and stat[1] == self.start_ticks and stat[0] not in "ZX"


def _stat(pid):
    """State letter and start time."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])


@dataclass(frozen=True)
class Worker:
    """A worker whose process runs."""
    id: str
    job: str
    kind: str
    keeper: Process
    process: Process


def worker_dirs(data_dir):
    """Where the agent of this hearth keeps its workers."""
    return data_dir / "agent/state/workers"


def workers(data_dir):
    """The workers of this hearth that run at this moment."""
    found = []
    for directory in worker_dirs(data_dir).glob("*"):
        try:
            spec = json.loads((directory / "spec.json").read_text())
            kept = json.loads((directory / "keeper.json").read_text())
        except (OSError, ValueError):
            continue  # It is being made, or has just been removed.
        process = Process(kept["child_pid"], kept["child_start_ticks"])
        if process.is_alive():
            keeper = Process(kept["pid"], kept["start_ticks"])
            found.append(Worker(directory.name, spec["job_run_id"], spec["kind"], keeper, process))
    return found


def daemons(data_dir, program):
    """The processes of `program` that work on this data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/" + program.encode()) and any(str(data_dir).encode() in word for word in words[1:]):
                found.append(Process.of(int(entry.name)))
    return [process for process in found if process]


class OneDriver(threading.Thread):
    """Watches that no job run ever has two drivers that can execute instructions (P3)."""

    def __init__(self, data_dir):
        super().__init__(daemon=True)
        self.data_dir, self.over, self.looks, self.violations = data_dir, threading.Event(), 0, []
        # Ids of the workers that ran, by job run.
        self.seen = {}

    def run(self):
        while not self.over.wait(0.05):
            self.looks += 1
            drivers = {}
            for worker in workers(self.data_dir):
                self.seen.setdefault(worker.job, set()).add(worker.id)
                if worker.kind == "SPARK_DRIVER":
                    drivers.setdefault(worker.job, []).append(worker)
            for job, several in drivers.items():
                # Seen one after the other: only those that live now were ever together.
                if len([one for one in several if one.process.is_alive()]) > 1:
                    self.violations.append(f"{time.time():.3f} job run {job} has drivers {[one.id for one in several]}")


def leftovers(data_dir):
    """What is still there of any worker: directories, processes, control groups, mounts."""
    left = [f"directory {path}" for path in worker_dirs(data_dir).glob("*")]
    where = str(data_dir)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if b"io.hearth.launcher.Main" not in command and b"hearth-keeper" not in command:
                continue
            mounts, environment = (entry / "mountinfo").read_text(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"{where}/agent/state/training" in mounts or b"/training/" in command:
            continue  # Makes the class-data archive of a bundle; no job's.
        if where in mounts or where.encode() in environment or where.encode() in command:
            left.append(f"process {entry.name}: {command[:80]!r}")
    left += [f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines() if f"{where}/agent/state/workers" in line]
    left += [f"control group {group}" for group in worker_groups(data_dir)]
    return left


def worker_groups(data_dir):
    """Directories of this agent's workers in the control group trees."""
    agents = re.findall(r"agent_id=(\S+)", (data_dir / "agent/agent.log").read_text(errors="replace"))
    parents = [parent for agent in set(agents) for tree in ("", "*/") for parent in Path("/sys/fs/cgroup").glob(f"{tree}hearth/{agent}")]
    return [group for parent in parents for group in parent.glob("w-*")]
