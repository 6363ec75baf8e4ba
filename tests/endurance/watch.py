"""What a host shows of hearth's workers: read from `/proc`, the agent's state directory and the control groups, never asked for."""

import contextlib
import json
import os
import re
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lab import FINAL

# Where the agent makes class-data archives.
TRAINING_GROUP = "w-class-archives"


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
    """What is still there of any worker while hearth serves: directories, processes, control groups, mounts.

    The agent's training, which makes class-data archives in the background, is no job's: it may run, or be made again.
    """
    left = [f"directory {path}" for path in worker_dirs(data_dir).glob("*")]
    left += [f"process {found.pid}: {what}" for found, what in processes(data_dir) if not is_daemon_or_training(data_dir, found, what)]
    left += [f"mount {line}" for line in mounts(data_dir)]
    left += [f"control group {group}" for parent in agent_groups(data_dir) for group in parent.glob("w-*") if group.name != TRAINING_GROUP]
    return left


def remains(data_dir):
    """What is still there of a hearth that was stopped: nothing should be, daemons and training included."""
    left = [f"directory {path}" for name in ("workers", "training/workers") for path in (data_dir / "agent/state" / name).glob("*")]
    left += [f"process {found.pid}: {what}" for found, what in processes(data_dir)]
    left += [f"mount {line}" for line in mounts(data_dir)]
    left += [f"control group {group}" for group in agent_groups(data_dir)]
    return left


def processes(data_dir):
    """Every process that has to do with this data directory, with the beginning of its command line."""
    where, own = str(data_dir), os.getpid()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            # In a mount namespace of its own, a worker's files are mounted from the host's names.
            texts = (command, (entry / "environ").read_bytes(), (entry / "mountinfo").read_bytes())
        except OSError:
            continue
        if command and any(where.encode() in text for text in texts) and (found := Process.of(int(entry.name))):
            yield found, command[:120].replace(b"\0", b" ").decode(errors="replace")


def is_daemon_or_training(data_dir, process, command):
    if Path(command.split(" ")[0]).name in ("hearth", "hearth-agent", "hearth-coordinator"):
        return True
    try:
        seen = Path(f"/proc/{process.pid}/mountinfo").read_text() + Path(f"/proc/{process.pid}/cmdline").read_text(errors="replace")
    except OSError:
        return True  # It has just ended.
    return f"{data_dir}/agent/state/training" in seen


def mounts(data_dir):
    """Mounts of this host below the agent's state."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{data_dir}/agent/state/" in line]


def archives(data_dir):
    """The class-data archives that the agent has made."""
    return [path for path in (data_dir / "agent/state/archives").glob("*") if not path.name.startswith(".")]


def agent_groups(data_dir):
    """The directory, in each control group tree, that is the agent's own."""
    agents = set(re.findall(r"agent_id=(\S+)", (data_dir / "agent/agent.log").read_text(errors="replace")))
    return [parent for agent in agents for tree in ("", "*/") for parent in Path("/sys/fs/cgroup").glob(f"{tree}hearth/{agent}")]


def stored(data_dir):
    """What is wrong in the database of a stopped coordinator: of each job run one final state, told last and once, and no
    worker that is still booked."""
    with contextlib.closing(sqlite3.connect(f"file:{data_dir}/coordinator/hearth.db?mode=ro", uri=True)) as database:
        told = {}
        for run, state in database.execute("SELECT resource, state FROM events WHERE kind = 'job_run' ORDER BY seq"):
            told.setdefault(run, []).append(state)
        wrong = [f"events of job run {run}: {states}" for run, states in told.items()
                 if [state for state in states if state in FINAL] != states[-1:]]
        runs = {run for run, in database.execute("SELECT id FROM job_runs")}
        wrong += [f"events: none of job run {run}" for run in runs - told.keys()]
        wrong += [f"booking: worker {worker}" for worker, in database.execute("SELECT id FROM workers WHERE live = 1")]
    return wrong
