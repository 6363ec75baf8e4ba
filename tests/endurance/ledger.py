"""The ledger of random kills: a line of JSON for each trial. Lines count together only if they are of the same build."""

import collections
import hashlib
import json

from lab import DIST


def build_id():
    """Identifies what is tested: the programs and jars."""
    digest = hashlib.sha256()
    for path in sorted([*(DIST / "bin").iterdir(), *(DIST / "share/hearth/jvm").rglob("*.jar")]):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Ledger:
    """The lines of one build; others stay in the file."""

    def __init__(self, path, build):
        self.path, self.build = path, build

    def append(self, line):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"build": self.build} | line) + "\n")

    def lines(self):
        found = [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []
        return [line for line in found if line["build"] == self.build]

    def kills(self):
        """How many of each kind; those of trials that were not judged to the end do not count."""
        kills = collections.Counter()
        for line in self.lines():
            kills.update(line["kills"] if line["judged"] else {})
        return kills

    def faults(self):
        return [fault for line in self.lines() for fault in line["faults"]]

    def summary(self):
        lines, kills = self.lines(), self.kills()
        return (f"build {self.build}: {kills.total()} kills {dict(kills)} in {len(lines)} trials, "
                f"{sum(line['job_runs'] for line in lines)} job runs with {sum(line['attempts'] for line in lines)} attempts, "
                f"{len(self.faults())} faults")
