"""The word count over real text equals what plain `sort | uniq -c` computes."""

import csv
import io
import subprocess
from pathlib import Path

from lab import DIST

SCRIPT = DIST / "share/hearth/samples/wordcount/scripts/wordcount.py"
COUNT = r"export LC_ALL=C; tr -s ' \t\r\f\v' '\n' | grep . | sort | uniq -c | sort -k1,1nr -k2"
# Text that every Debian has.
LICENCES = Path("/usr/share/common-licenses")


def real_text():
    files = sorted(path for path in LICENCES.glob("*") if path.is_file() and not path.is_symlink())
    return b"\n".join(path.read_bytes() for path in files)


def counts_of_shell(text):
    lines = subprocess.run(["sh", "-c", COUNT], input=text, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    return [(word, int(count)) for count, word in (line.strip().split(" ", 1) for line in lines)]


def test_the_word_count_equals_that_of_sort_and_uniq(jobs):
    text = real_text()
    assert len(text) > 100_000, "the host has no licences to count"
    for part in range(3):
        jobs.put(f"licences/part-{part}.txt", text)
    jobs.run(jobs.put("wordcount.py", SCRIPT), f"s3://{jobs.bucket}/counted", f"s3://{jobs.bucket}/given/licences/*")
    keys = [key for key in jobs.keys("counted/") if key.endswith(".csv")]
    assert len(keys) == 1, keys
    rows = csv.reader(io.StringIO(jobs.text(keys[0])), doublequote=True)
    counted = [(word, int(count)) for word, count in rows]
    expected = counts_of_shell(text + b"\n" + text + b"\n" + text)
    assert counted == expected


def test_hearth_run_prints_the_output_and_ends_with_the_outcome(jobs, hearth, tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import sys\nfrom pyspark.sql import SparkSession\n"
                    "print('sum', SparkSession.builder.getOrCreate().range(int(sys.argv[1])).count())")
    bad.write_text("raise SystemExit(7)")
    done = hearth.run("run", good, 5, cwd=tmp_path)
    assert done.stdout == "sum 5\n", done
    assert "small" in done.stderr and "SUCCESS" in done.stderr, done.stderr
    failed = hearth.run("run", "--name", "bad", bad, check=False)
    assert failed.returncode == 1 and "FAILED" in failed.stderr, failed
