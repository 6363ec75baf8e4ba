"""What the benchmarks of this directory share: the machine's own yardsticks, and the lines they print."""

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("HEARTH_CACHE", Path.home() / ".cache/hearth")) / "venv/bin/python3"


def in_the_virtual_environment():
    """Runs the calling script anew in the virtual environment of the tests, unless it is in it."""
    if Path(sys.prefix) != VENV.parents[1] and VENV.exists():
        os.execv(VENV, [str(VENV), *sys.argv])
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/endurance")]


def of_a_built_tree(description):
    """A parser of the arguments that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "target/dist", help="the built tree (default: target/dist)")
    return parser


def choose_dist(dist):
    """Has the lab start what was built in this directory; to be called before the lab is imported."""
    os.environ["HEARTH_TEST_DIST"] = str(dist.resolve())


class Bars:
    """One line for each bar, and the exit status of all."""

    def __init__(self):
        self.missed = []

    def tell(self, name, measured, limit, holds):
        print(f"{name}: {measured} ({limit}) {'holds' if holds else 'MISSED'}", flush=True)
        if not holds:
            self.missed.append(name)

    def exit(self):
        sys.exit(1 if self.missed else 0)


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Disk:
    """What one synced write costs here: 4 KiB appended and fdatasync'ed, again and again, beside what is measured."""

    def __init__(self, directory):
        self.path = Path(directory) / "yardstick"
        self.times = []

    def measure(self, seconds=2):
        with self.path.open("ab", buffering=0) as file:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                begin = time.perf_counter()
                file.write(bytes(4096))
                os.fdatasync(file.fileno())
                self.times.append(time.perf_counter() - begin)
        self.path.unlink()
        return self

    @property
    def p99_ms(self):
        return quantile(self.times, 0.99) * 1e3

    def __str__(self):
        rate = len(self.times) / sum(self.times)
        return (f"fdatasync of 4 KiB: p50 {quantile(self.times, 0.5) * 1e3:.2f} ms, p99 {self.p99_ms:.2f} ms, "
                f"{rate:.0f}/s one after another")


def machine():
    return f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}"


def proportional_set_size(pid):
    """In KiB, as the kernel shares memory that several processes map."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError(f"the kernel does not say what process {pid} holds")


def processor_seconds(pid):
    """User and system time of a process so far, of threads that have ended too: its CPU clock, as `clock_getcpuclockid` numbers it."""
    return time.clock_gettime(~pid << 3 | 2)
