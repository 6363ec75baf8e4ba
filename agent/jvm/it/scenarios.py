"""Stories that launcher and Spark module must live through, with real JVMs.

    python3 it/scenarios.py --spark-home DIR [--root DIR] [NAME …]

DIR is an unpacked Spark (jars/, python/). Without names every scenario runs; `--list` names them.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import time
import signal
from pathlib import Path

from fake_agent import Job, Lab, tell

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def script(lab, name, text):
    path = lab.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def timing(job):
    driver = job.driver.times
    zero = driver["spawn"]
    progress = job.driver.last("progress") or {}
    first_task = progress.get("first_task_at_ms")
    parts = {name: driver[name] - zero for name in ("hello", "started", "register_app", "set_target") if name in driver}
    executors = [e.times for e in job.executors.values()]
    if executors:
        parts["executor_spawn"] = executors[0]["spawn"] - zero
        parts["executor_started"] = executors[0].get("started", zero) - zero
    if first_task:
        parts["first_task"] = first_task / 1000 - zero
    for name in ("unregister_app", "finished", "exit"):
        if name in driver:
            parts[name] = driver[name] - zero
    return "  ".join(f"{name} {value:.2f}" for name, value in parts.items())


def pi(lab, name, slices="4", **options):
    return Job(lab, name, ["--class", "org.apache.spark.examples.SparkPi", str(lab.examples), slices], **options)


WORD_COUNT = """
import sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("words").getOrCreate()
sc = spark.sparkContext
def slow(line):
    time.sleep(0.25)
    return line.split()
lines = sc.parallelize([f"the quick fox {i % 7}" for i in range(64)], 16)
counts = dict(lines.flatMap(slow).map(lambda w: (w, 1)).reduceByKey(lambda a, b: a + b, 4).collect())
assert counts["fox"] == 64, counts
print("words counted", counts["fox"], flush=True)
"""


@scenario
def static_executors(lab):
    """SparkPi on two executors, authentication off."""
    job = pi(lab, "static_executors")
    assert job.wait() == 0, job.driver.log()
    assert "Pi is roughly 3.1" in job.driver.log("stdout")
    assert job.driver.last("finished")["exit_code"] == 0
    assert job.registration["app_id"] == "00f0abc0000000001"
    assert len(job.executors) == 2
    assert [e.exit_code for e in job.executors.values()] == [0, 0], [e.exit_code for e in job.executors.values()]
    [profile] = job.targets[0][1]
    assert profile == {"rp_id": 0, "count": 2, "cores": 1, "memory_mib": 512, "overhead_mib": 384, "offheap_mib": 0,
                       "pyspark_mib": 0, "total_mib": 896}, profile
    return timing(job)


def secret_must_not_show(job, stop):
    """Looks for the secret in every command line and environment while the job runs; returns what it found."""
    found = []
    while not stop():
        for process in Path("/proc").glob("[0-9]*"):
            for part in ("cmdline", "environ"):
                try:
                    if job.secret.encode() in (process / part).read_bytes():
                        found.append(f"{process.name}/{part}")
                except OSError:
                    continue
        time.sleep(0.2)
    return found


def authenticated(lab, name, crypto):
    text = WORD_COUNT + """
conf = dict(sc.getConf().getAll())
print("conf says", conf.get("spark.authenticate.secret"))
import urllib.request
print("environment page", urllib.request.urlopen(sc.uiWebUrl + "/api/v1/applications/" + sc.applicationId + "/environment").read().decode())
"""
    job = Job(lab, name, [script(lab, name + ".py", text)], auth=True, conf={
        "spark.network.crypto.enabled": crypto, "spark.redaction.regex": "nothing-matches-this"})
    found = secret_must_not_show(job, job.driver.exited.is_set)
    assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
    assert found == [], found
    for path in job.lab.root.rglob("*"):
        if path.is_file():
            assert job.secret.encode() not in path.read_bytes(), path
    assert "environment page" in job.driver.log("stdout") and "held-in-process" in job.driver.log("stdout")
    assert job.registration["executor"]["properties"]["spark.authenticate"] == "true"
    assert job.secret not in json.dumps(job.driver.reports)
    return timing(job)


@scenario
def authentication(lab):
    """spark.authenticate with SASL: the secret is nowhere, though the job switched redaction off."""
    return authenticated(lab, "authentication", "false")


@scenario
def authentication_encrypted(lab):
    """The same with RPC encryption."""
    return authenticated(lab, "authentication_encrypted", "true")


@scenario
def wrong_secret_is_refused(lab):
    """An executor with another secret cannot register."""
    job = pi(lab, "wrong_secret", auth=True, start_executors=False)
    job.until(lambda: job.targets, "a target")
    right, job.secret = job.secret, "wrong"
    with job.lock:
        job._start_executor(job.targets[-1][1][0])
    assert job.executors["1"].exited.wait(60)
    assert job.executors["1"].exit_code == 1, job.executors["1"].exit_code
    job.secret = right
    job.start_executors = True
    with job.lock:
        job._reach_target()
    assert job.wait() == 0
    return timing(job)


@scenario
def dynamic_allocation(lab):
    """PySpark word count: 1 executor grows to several and shrinks to none while the job sleeps, then grows again."""
    text = WORD_COUNT + """
time.sleep(8)
counts = dict(lines.flatMap(lambda l: l.split()).map(lambda w: (w, 1)).reduceByKey(lambda a, b: a + b).collect())
assert counts["fox"] == 64
print("counted again")
"""
    job = Job(lab, "dynamic_allocation", [script(lab, "dynamic.py", text)], auth=True, conf={
        "spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.timeout": "2s", "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.initialExecutors": "1", "spark.dynamicAllocation.maxExecutors": "3",
        "spark.dynamicAllocation.executorIdleTimeout": "2s", "spark.dynamicAllocation.schedulerBacklogTimeout": "1s",
        "spark.executor.instances": "1"})
    assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
    assert "counted again" in job.driver.log("stdout")
    counts = [p[0]["count"] for _, p in job.targets]
    assert counts[0] == 1 and max(counts) == 3 and 0 in counts, counts
    assert counts.index(3) < counts.index(0) < len(counts) - 1, counts
    assert job.unwanted, "idle executors are given back"
    return f"targets {counts}, executors {len(job.executors)}; " + timing(job)


@scenario
def killed_executor(lab):
    """kill -9 of an executor in the middle: the loss is not the job's fault, with maxFailures=1 it still succeeds."""
    job = Job(lab, "killed_executor", [script(lab, "killed.py", WORD_COUNT)], conf={"spark.task.maxFailures": "1"})
    job.until(lambda: (job.driver.last("progress") or {}).get("tasks", {}).get("completed", 0) >= 2, "two tasks done")
    killed = time.time()
    job.executors["1"].kill(signal.SIGKILL)
    assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
    assert job.executors["1"].exit_code == 137
    assert len(job.executors) == 3
    return f"ended {job.driver.times['exit'] - killed:.1f} s after the kill; " + timing(job)


@scenario
def blamed_executor(lab):
    """The same kill, blamed on the application: with maxFailures=1 the job fails and says so."""
    job = Job(lab, "blamed_executor", [script(lab, "blamed.py", WORD_COUNT)], conf={"spark.task.maxFailures": "1"})
    job.blame_app = True
    job.until(lambda: (job.driver.last("progress") or {}).get("tasks", {}).get("completed", 0) >= 2, "two tasks done")
    job.executors["1"].kill(signal.SIGKILL)
    assert job.wait() == 1
    finished = job.driver.last("finished")
    assert "exit status 137" in finished["error_message"], finished
    return finished["error_class"]


@scenario
def failing_executors(lab):
    """Executors that always die end the job after spark.executor.maxNumFailures."""
    job = pi(lab, "failing_executors", conf={"spark.executor.maxNumFailures": "2", "spark.executor.instances": "1",
                                             "spark.executor.extraJavaOptions": "-XX:+NoSuchThing -Xms9g"})
    job.blame_app = True
    assert job.wait() == 1
    message = job.driver.last("finished")["error_message"]
    assert "Max number of executor failures (2) reached" in message, message
    return message


@scenario
def agent_restart(lab):
    """The agent's socket goes away in mid-job and comes back, twice; once the agent has forgotten everything."""
    job = Job(lab, "agent_restart", [script(lab, "restart.py", WORD_COUNT)])
    job.until(lambda: (job.driver.last("progress") or {}).get("tasks", {}).get("completed", 0) >= 1, "a task done")
    job.driver.restart_channel()
    job.until(lambda: job.driver.connection is not None, "reconnected")
    assert job.registrations == 1
    job.driver.restart_channel(forget=True)
    job.until(lambda: job.registrations == 2 and len(job.targets) == 2, "told again")
    job.executors["2"].restart_channel()
    assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
    assert len(job.driver.sessions) == 1 and len(job.executors) == 2
    assert job.driver.last("finished")["exit_code"] == 0
    return timing(job)


@scenario
def archive_and_files(lab):
    """A packed virtual environment is the job's Python, on driver and executors; --files and --py-files are there."""
    venv = lab.root / "venv"
    if not venv.exists():
        subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", venv], check=True)
        site = next(venv.glob("lib/python*/site-packages"))
        (site / "only_here.py").write_text("ANSWER = 42\n")
    packed = lab.root / "environment.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(venv, arcname=".")
    data = script(lab, "data.txt", "some data")
    module = script(lab, "shipped_module.py", "WORD = 'shipped'\n")
    main = script(lab, "archive.py", """
import sys
from pyspark.sql import SparkSession
import only_here, shipped_module
assert open("data.txt").read() == "some data" and open("named.txt").read() == "some data"
spark = SparkSession.builder.getOrCreate()
def there(_):
    import sys, only_here, shipped_module
    assert open("data.txt").read() == "some data"
    return (sys.prefix, only_here.ANSWER, shipped_module.WORD)
driver = (sys.prefix, only_here.ANSWER)
print("driver", driver, "executors", spark.sparkContext.parallelize(range(2), 2).map(there).collect())
assert driver[0].endswith("work/environment"), driver
""")
    job = Job(lab, "archive_and_files", [
        "--archives", f"{packed}#environment", "--files", f"{data},{data}#named.txt", "--py-files", module,
        "--conf", "spark.executorEnv.PYSPARK_PYTHON=./environment/bin/python", main],
        env={"PYSPARK_PYTHON": "./environment/bin/python", "PYSPARK_DRIVER_PYTHON": "./environment/bin/python"})
    assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
    remote = f"viewfs://lab/root/{packed.name}"
    job2 = Job(lab, "archive_by_conf", [  # A remote file system other than S3, of Hadoop's own.
        "--conf", f"spark.hadoop.fs.viewfs.mounttable.lab.link./root=file://{lab.root}",
        "--conf", f"spark.archives={remote}#environment", "--conf", "spark.pyspark.python=./environment/bin/python",
        "--files", f"{data},{data}#named.txt", "--py-files", module, main])
    assert job2.wait() == 0, job2.driver.log("stdout") + job2.driver.log()
    return job.driver.log("stdout").strip()[-160:]


@scenario
def failing_python(lab):
    """A Python exception ends in exit code 1 with its class and message; sys.exit(7) in 7."""
    job = Job(lab, "failing_python", [script(lab, "failing.py", "import math\nmath.sqrt(-1)\n")])
    assert job.wait() == 1
    finished = job.driver.last("finished")
    assert (finished["error_class"], finished["error_message"]) == ("ValueError", "math domain error"), finished
    job = Job(lab, "exiting_python", [script(lab, "exiting.py", "import sys\nsys.exit(7)\n")])
    assert job.wait() == 7
    assert job.driver.last("finished")["exit_code"] == 7
    return json.dumps(finished)


@scenario
def failing_java(lab):
    """A main class, a jar and a file that are not there, and a main that throws: class and message each."""
    results = []
    for name, args, code in [
        ("missing_class", ["--class", "no.such.Main", str(lab.examples)], 101),
        ("missing_jar", ["--class", "no.such.Main", "/no/such.jar"], 101),
        ("missing_file", ["--class", "org.apache.spark.examples.SparkPi", "--files", "/no/such.txt", str(lab.examples)], 1),
        ("bad_number", ["--class", "org.apache.spark.examples.SparkPi", str(lab.examples), "many"], 1),
    ]:
        job = Job(lab, name, args)
        assert job.wait() == code, (name, job.driver.exit_code, job.driver.log())
        finished = job.driver.last("finished")
        assert finished["exit_code"] == code and finished["error_class"] and finished["error_message"], finished
        results.append(f"{name}: {finished['error_class']}: {finished['error_message'][:80]}")
    return "\n    ".join(results)


@scenario
def cancel(lab):
    """A cancelled job stops its context, ends its Python and exits 143 well before the grace is over."""
    job = Job(lab, "cancel", [script(lab, "sleepy.py", WORD_COUNT.replace("0.25", "60"))])
    job.until(lambda: (job.driver.last("progress") or {}).get("tasks", {}).get("active", 0) >= 1, "a task runs")
    sent = time.time()
    job.driver.send({"type": "cancel", "grace_ms": 10000})
    assert job.wait() == 143
    took = job.driver.times["exit"] - sent
    assert took < 8, took
    assert job.driver.last("finished")["exit_code"] == 143
    assert any(job.lab.root.glob("events/00f0abc0000000001")), "the event log is complete"
    stubborn = script(lab, "stubborn.py", """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate()
time.sleep(120)
""")
    job = Job(lab, "cancel_stubborn", [stubborn])
    job.until(lambda: job.registration, "registered")
    job.driver.send({"type": "cancel", "grace_ms": 3000})
    sent = time.time()
    assert job.wait() == 143
    assert job.driver.times["exit"] - sent < 4.5
    return f"exit after {took:.1f} s"


@scenario
def decommission(lab):
    """Executors that are told to leave do so with status 0, and replacements come."""
    job = Job(lab, "decommission", [script(lab, "decommission.py", WORD_COUNT)], conf={
        "spark.decommission.enabled": "true", "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true", "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.replicationReattemptInterval": "1s"})
    job.until(lambda: (job.driver.last("progress") or {}).get("tasks", {}).get("completed", 0) >= 2, "two tasks done")
    sent = time.time()
    job.driver.send({"type": "decommission", "ids": ["1"], "reason": "host drains"})
    job.until(lambda: job.executors["1"].exited.is_set(), "executor 1 left", 30)
    left = job.executors["1"].times["exit"] - sent
    assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
    assert job.executors["1"].exit_code == 0, job.executors["1"].exit_code
    return f"left after {left:.1f} s"


@scenario
def no_room(lab):
    """Three executors wanted, one to be had: the job does not wait half a minute for the others."""
    job = pi(lab, "no_room", conf={"spark.executor.instances": "3"}, start_executors=False)
    job.until(lambda: job.targets, "a target")
    with job.lock:
        job._start_executor(job.targets[-1][1][0])
    for _ in range(2):
        job.driver.send({"type": "launch_failed", "rp_id": 0, "reason": "no capacity"})
    assert job.wait() == 0
    assert job.driver.times["exit"] - job.driver.times["spawn"] < 25
    return timing(job)


@scenario
def sql_file(lab):
    """A .sql file through Spark's own command line."""
    sql = script(lab, "query.sql", "select concat('answer ', sum(id)) from range(10);\n")
    job = Job(lab, "sql_file", ["--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "spark-internal",
                                "-f", sql])
    assert job.wait() == 0, job.driver.log()
    assert "answer 45" in job.driver.log("stdout"), job.driver.log("stdout")
    return timing(job)


@scenario
def class_data_archives(lab):
    """The archives that ArchiveTraining makes are really used: the JVM would ignore a wrong one without a word."""
    archives = lab.train()
    flags = {role: [f"-XX:SharedArchiveFile={path}", f"-Xlog:class+load:file={lab.root / role}.classes"]
             for role, path in archives.items()}
    job = pi(lab, "class_data_archives", driver_opts=flags["driver"], conf={
        "spark.executor.instances": "1", "spark.executor.extraJavaOptions": " ".join(flags["executor"])})
    assert job.wait() == 0
    shares = {}
    for role in archives:
        loaded = Path(f"{lab.root / role}.classes").read_text().splitlines()
        shares[role] = sum("shared objects file (top)" in line for line in loaded) / len(loaded)
        assert shares[role] > 0.6, (role, shares[role])
    return str(shares) + " " + timing(job)


@scenario
def s3(lab):
    """Entry point, archive and SQL file on s3:// (needs hadoop-aws in DIR/jars and moto's server)."""
    if not list(lab.spark_home.glob("jars/hadoop-aws-*.jar")):
        return "skipped: no hadoop-aws"
    import boto3
    from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://%s:%d" % server.get_host_and_port()
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        store = boto3.client("s3", endpoint_url=endpoint, **keys)
        store.create_bucket(Bucket="lab")
        inner = script(lab, "inner/inner.txt", "from the archive")
        with tarfile.open(lab.root / "inner.tgz", "w:gz") as tar:
            tar.add(inner, arcname="inner.txt")
        store.upload_file(str(lab.root / "inner.tgz"), "lab", "archives/inner.tgz")
        store.put_object(Bucket="lab", Key="scripts/main.py", Body=b"""
from pyspark.sql import SparkSession
assert open("data/inner.txt").read() == "from the archive"
spark = SparkSession.builder.getOrCreate()
spark.range(10).write.mode("overwrite").parquet("s3://lab/out")
print("rows", spark.read.parquet("s3a://lab/out").count())
""")
        store.put_object(Bucket="lab", Key="scripts/query.sql", Body=b"select concat('answer ', sum(id)) from range(10);")
        conf = {"spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
                "spark.hadoop.fs.s3a.endpoint": endpoint, "spark.hadoop.fs.s3a.path.style.access": "true",
                "spark.hadoop.fs.s3a.connection.ssl.enabled": "false"}
        env = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        conf.update({f"spark.executorEnv.{name}": value for name, value in env.items()})
        job = Job(lab, "s3", ["--archives", "s3://lab/archives/inner.tgz#data", "s3://lab/scripts/main.py"], conf=conf,
                  env=env)
        assert job.wait() == 0, job.driver.log("stdout") + job.driver.log()
        assert "rows 10" in job.driver.log("stdout")
        query = Job(lab, "s3_sql", ["--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver",
                                    "spark-internal", "-f", "s3://lab/scripts/query.sql"], conf=conf, env=env)
        assert query.wait() == 0, query.driver.log()
        assert "answer 45" in query.driver.log("stdout")
        missing = Job(lab, "s3_missing", ["s3://lab/scripts/nothing.py"], conf=conf, env=env)
        assert missing.wait() == 1
        return missing.driver.last("finished")["error_class"] + " " + missing.driver.last("finished")["error_message"]
    finally:
        server.stop()


@scenario
def exit_from_main(lab):
    """System.exit in the program itself: no `finished`, the process's status stands, executors go."""
    job = Job(lab, "exit_from_main", ["--class", "org.apache.spark.examples.JavaWordCount", str(lab.examples)])
    assert job.wait() == 1
    assert job.driver.last("finished") is None
    return "status 1"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--spark-home", required=True)
    parser.add_argument("--root", default="/tmp/hearth-it")
    parser.add_argument("--flag", action="append", default=[], help="a JVM flag for every worker")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {function.__doc__}" for name, function in SCENARIOS.items()))
        return 0
    lab = Lab.from_build(options.spark_home, Path(__file__).parent.parent, options.root, flags=options.flag)
    return tell(SCENARIOS, options.names, lab)


if __name__ == "__main__":
    sys.exit(main())
