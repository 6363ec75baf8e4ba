"""Stories that launcher and Tez module must live through, with real JVMs and an agent in miniature.

    mvn -q package && python3 it/tez_scenarios.py [--root DIR] [NAME …]

The engines come as jars through Maven (`it/hive/pom.xml`, 190 MB once), unless `--bundle` names a directory that has
`lib` (Hive, Tez and Hadoop), `hive` and `tez` (what driver and Tez do not share), and `examples` (Tez's).
Without names every scenario runs; `--list` names them.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

from fake_agent import Lab, Worker, tell, until, wait

HERE = Path(__file__).parent
SCENARIOS = {}
HOST = "127.0.0.1"
# The jobs of the scenario that runs; what it leaves of them when it fails is ended.
JOBS = []


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


class TezLab(Lab):
    """Where the release, hearth's jars and the workers' directories are."""

    def __init__(self, bundle, jars, root, **options):
        super().__init__(bundle, jars, root, **options)
        self.bundle = Path(bundle).resolve()

    @classmethod
    def from_build(cls, bundle, modules, root, **options):
        jars = Path(root).resolve() / "jars"
        jars.mkdir(parents=True, exist_ok=True)
        for built in ("launcher/target/hearth-launcher.jar", "tez/target/hearth-tez.jar"):
            shutil.copyfile(modules / built, jars / Path(built).name)
        shutil.copytree(modules / "tez/target/test-classes", jars / "tests", dirs_exist_ok=True)
        return cls(bundle, jars, root, **options)

    @property
    def examples(self):
        """Tez's own example programs."""
        return next((self.bundle / "examples").glob("*.jar"))

    def environment(self):
        return {}

    def hearth_jars(self):
        return [str(self.jars / "hearth-launcher.jar"), str(self.jars / "hearth-tez.jar"), str(self.jars / "tests")]

    def tez_class_path(self):
        """Of application master and tasks."""
        return ":".join([*self.hearth_jars(), str(self.bundle / "tez/*"), str(self.bundle / "lib/*")])

    def hive_class_path(self):
        return ":".join([*self.hearth_jars(), str(self.bundle / "hive/*"), str(self.bundle / "lib/*")])

    def class_path(self):
        return self.tez_class_path()


class HiveLab(TezLab):
    """The same for a driver of Hive's."""

    def class_path(self):
        return self.hive_class_path()


class LocalLab(TezLab):
    """The same for a driver of Hive's with all of Tez in it, which wants the logging that is Tez's."""

    def class_path(self):
        return ":".join([*self.hearth_jars(), str(self.bundle / "tez/*"), str(self.bundle / "hive/*"),
                         str(self.bundle / "lib/*")])


class Job:
    """A driver and the task workers it asks for: each is started at once, and never more of them than are wanted."""

    def __init__(self, lab, name, kind, args, conf=(), class_path=(), properties=(), driver_heap="1g"):
        root = lab.root / name
        shutil.rmtree(root, ignore_errors=True)
        self.lab = TezLab(lab.bundle, lab.jars, root, java=lab.java, flags=lab.flags)
        driver_type = {"tez-main": TezLab, "hive-driver": LocalLab if "tez.local.mode" in dict(conf) else HiveLab}[kind]
        driver_lab = driver_type(lab.bundle, lab.jars, root, java=lab.java, flags=lab.flags)
        root.mkdir(parents=True)
        JOBS.append(self)
        self.lock = threading.RLock()
        self.secret = uuid.uuid4().hex
        self.tasks = {}
        self.unwanted = set()
        self.targets = []
        self.registration = None
        self.registrations = 0
        self.conf_dir = root / "conf"
        self.conf_dir.mkdir()
        self._write_conf("hive-site.xml", conf)
        self._write_conf("tez-site.xml", {
            "fs.defaultFS": "file:///", "tez.staging-dir": f"{root}/staging", **dict(conf)})
        self.class_path = [str(self.conf_dir), *class_path]
        self.driver = Worker(driver_lab, "driver", {
            "type": "run", "kind": kind, "args": args, "env": {}, "secret": self.secret,
            "properties": {"hearth.host": HOST, "hearth.logs": str(root / "driver/logs"),
                           "hearth.tez.class_path": ":".join([*self.class_path, self.lab.tez_class_path()]),
                           **dict(properties)},
        }, self._on_report, heap=driver_heap, class_path=self.class_path)

    def _write_conf(self, name, settings):
        text = "".join(f"<property><name>{key}</name><value>{value}</value></property>\n" for key, value in dict(settings).items())
        (self.conf_dir / name).write_text(f"<configuration>\n{text}</configuration>\n")

    def _on_report(self, worker, message):
        with self.lock:
            if message["type"] == "register_app":
                self.registration = message
                self.registrations += 1
            elif message["type"] == "set_target":
                self.targets.append(message["profiles"])
            elif message["type"] == "kill_executors":
                for task in message["ids"]:
                    self.unwanted.add(task)
                    self.tasks[task].kill()
            elif message["type"] == "unregister_app":
                self.registration, self.targets = None, []
                for task in self.alive():
                    self.unwanted.add(task)
                    self.tasks[task].kill()
            elif message["type"] == "_exited" and worker is not self.driver:
                task = worker.name.removeprefix("task-")
                self.driver.send({"type": "executor_exited", "id": task, "exit_code": worker.exit_code,
                                  "caused_by_app": True, "reason": f"exit status {worker.exit_code}"})
            self._reach_target()

    def alive(self, profile=None):
        return [n for n, w in self.tasks.items() if not w.exited.is_set() and n not in self.unwanted
                and profile in (None, w.profile)]

    def _reach_target(self):
        if self.registration is None or not self.targets or self.driver.exited.is_set():
            return
        for profile in self.targets[-1]:
            while len(self.alive(profile["rp_id"])) < profile["count"]:
                self._start_task(profile)

    def _start_task(self, profile):
        task = str(len(self.tasks) + 1)
        start = self.registration["executor"]
        worker = Worker(self.lab, f"task-{task}", {
            "type": "run", "kind": "tez-task", "env": start["env"], "secret": self.secret,
            "properties": {"hearth.logs": str(self.lab.root / f"task-{task}/logs"), **start["properties"]},
            "args": [self.registration["driver_url"], task, str(profile["rp_id"]), HOST],
        }, self._on_report, heap=f"{profile['memory_mib']}m", java_opts=start["java_opts"],
            class_path=[*self.class_path, *start["class_path"]])
        worker.profile = profile["rp_id"]
        self.tasks[task] = worker
        self.driver.send({"type": "executor_launched", "id": task, "host": HOST})

    def wait(self, seconds=600):
        try:
            return wait(self.driver, self.tasks.values(), seconds)
        finally:
            self.stop()

    def until(self, condition, what, seconds=600):
        until(self.driver, condition, what, seconds)

    def stop(self):
        for worker in [self.driver, *self.tasks.values()]:
            worker.kill(signal.SIGKILL)
            for child in subprocess.run(["pgrep", "-g", str(worker.process.pid)], capture_output=True, text=True).stdout.split():
                subprocess.run(["kill", "-9", child], check=False)


# What every job of hearth's sets, whoever submits it.
TEZ = {
    "yarn.ipc.rpc.class": "io.hearth.tez.HearthYarnRpc", "yarn.timeline-service.enabled": "false",
    "tez.ignore.lib.uris": "true", "tez.am.shuffle.auxiliary-service.id": "tez_shuffle",
    "tez.am.container.idle.release-timeout-min.millis": "-1",
    "tez.am.resource.memory.mb": "512", "tez.task.resource.memory.mb": "512",
}


@scenario
def ordered_word_count(lab):
    """Tez's own OrderedWordCount: two vertices with a shuffle between them, on three task workers."""
    words = lab.root / "words"
    words.mkdir(exist_ok=True)
    for part in range(3):
        (words / f"{part}.txt").write_text("\n".join(f"the quick fox {i % 7}" for i in range(70)))
    output = lab.root / "ordered_word_count/output"
    job = Job(lab, "ordered_word_count", "tez-main",
              ["org.apache.tez.examples.OrderedWordCount", f"file://{words}", f"file://{output}", "2"],
              conf=TEZ, class_path=[str(lab.examples)],
              properties={"hearth.task.memory_mib": "512", "hearth.task.most": "3"})
    assert job.wait() == 0, job.driver.log()
    lines = [line.split("\t") for part in sorted(output.glob("part-*")) for line in part.read_text().splitlines()]
    counts = {word: int(count) for word, count in lines}
    assert counts == {"the": 210, "quick": 210, "fox": 210, **{str(i): 30 for i in range(7)}}, counts
    assert [int(count) for _, count in lines] == sorted(int(count) for _, count in lines)
    assert len(job.tasks) >= 2
    return f"{len(job.tasks)} task workers"


def hive(lab, name, script, conf=(), options=(), init=None):
    """A Hive job in its own metastore and warehouse."""
    root = lab.root / name
    settings = {
        **TEZ, "hive.execution.engine": "tez", "hive.exec.scratchdir": f"file://{root}/scratch",
        "hive.metastore.warehouse.dir": f"file://{root}/warehouse", "hive.exec.local.scratchdir": f"{root}/local",
        "hive.downloaded.resources.dir": f"{root}/resources", "hive.querylog.location": f"{root}/querylog",
        "javax.jdo.option.ConnectionURL": "jdbc:derby:;databaseName=metastore_db;create=true",
        "datanucleus.schema.autoCreateAll": "true", "hive.metastore.schema.verification": "false",
        "hive.tez.container.size": "512", "hive.tez.cpu.vcores": "1", "hive.max-task-containers": "3", **dict(conf),
    }
    files = lab.root / f"{name}-files"
    files.mkdir(parents=True, exist_ok=True)
    args = list(options)
    if init:
        (files / "init.sql").write_text(init)
        args += ["-i", f"file://{files}/init.sql"]
    (files / "query.sql").write_text(script)
    return Job(lab, name, "hive-driver", [*args, "-f", f"file://{files}/query.sql"], conf=settings)


WALK_THROUGH = """
create database if not exists walk;
use walk;
create table if not exists numbers(id int);
insert into numbers values (1),(2),(2),(3),(3),(3);
select id, count(id) from numbers group by id order by id desc;
"""


@scenario
def group_by(lab):
    """Rows go in, are grouped and ordered, and come out as text with tabs between the columns."""
    job = hive(lab, "group_by", WALK_THROUGH)
    assert job.wait() == 0, job.driver.log()
    assert (job.driver.dir / "logs/hive.log").stat().st_size > 0
    assert job.driver.log("stdout").splitlines() == ["3\t3", "2\t2", "1\t1"], job.driver.log("stdout")
    return f"{len(job.tasks)} task workers"


JOIN = """
create table orders(id int, customer string, amount decimal(10,2));
create table customers(name string, country string);
insert into orders values (1,'ann',10.50),(2,'bob',20.25),(3,'ann',30.00),(4,'cem',1.25),(5,'dee',7.00);
insert into customers values ('ann','at'),('bob','be'),('cem','at');
set hive.auto.convert.join=false;
select c.country, count(*), sum(o.amount), max(o.customer)
from orders o join customers c on o.customer = c.name group by c.country order by c.country;
set hive.auto.convert.join=true;
select o.id, c.country, rank() over (partition by c.country order by o.amount desc)
from orders o left join customers c on o.customer = c.name order by o.id;
"""


@scenario
def join(lab):
    """A shuffle join with a group-by, a map join with a window: the answers are those of Tez's local mode."""
    job = hive(lab, "join", JOIN)
    assert job.wait() == 0, job.driver.log()
    local = hive(lab, "join_local", JOIN, conf={"tez.local.mode": "true", "fs.defaultFS": "file:///"})
    assert local.wait() == 0, local.driver.log()
    assert job.tasks and not local.tasks
    # Tez itself speaks on standard output where its tasks run.
    rows, expected = ([line for line in ran.driver.log("stdout").splitlines() if "\t" in line] for ran in (job, local))
    assert rows == expected and len(rows) == 7, rows
    assert rows[:2] == ["at\t3\t41.75\tcem", "be\t1\t20.25\tbob"]
    return f"{len(job.tasks)} task workers"


@scenario
def bad_query(lab):
    """A syntax error ends the job with Hive's status, and its line and column are reported."""
    job = hive(lab, "bad_query", "set a=b;\nselect 1 frm\n  where;", init="create table t(x int);")
    assert job.wait() == 64, job.driver.exit_code
    told = job.driver.last("finished")
    assert "ParseException" in told["error_message"] and "line 2:7" in told["error_message"], told
    return told["error_message"]


ROWS = ["at\t3\t41.75\tcem", "be\t1\t20.25\tbob", "1\tat\t2", "2\tbe\t1", "3\tat\t1", "4\tat\t3", "5\tNULL\t1"]


@scenario
def task_killed(lab):
    """A task worker that is killed at work is replaced, what it made is made again, and the answer is right."""
    job = hive(lab, "task_killed", JOIN)
    job.until(lambda: any("Starting to run" in task.log("stdout") for task in list(job.tasks.values())), "a task at work")
    victim = next(task for task in job.tasks.values() if "Starting to run" in task.log("stdout"))
    victim.kill(signal.SIGKILL)
    assert job.wait() == 0, job.driver.log()
    assert job.driver.log("stdout").splitlines() == ROWS, job.driver.log("stdout")
    assert victim.exit_code == 137 and len(job.tasks) > 1
    return f"{victim.name} was killed, {len(job.tasks)} task workers in all"


def fetched_bundle():
    """The engines' jars, fetched by Maven unless they are there."""
    bundle = HERE / "hive/target/bundle"
    if not (bundle / "examples").exists():
        subprocess.run(["mvn", "-q", "-B", "package"], check=True, cwd=HERE / "hive", timeout=1800)
    return bundle


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--bundle")
    parser.add_argument("--root", default="/tmp/hearth-tez-it")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {function.__doc__}" for name, function in SCENARIOS.items()))
        return 0
    lab = TezLab.from_build(options.bundle or fetched_bundle(), HERE.parent, options.root)

    def clean():
        while JOBS:
            JOBS.pop().stop()
    return tell(SCENARIOS, options.names, lab, clean)


if __name__ == "__main__":
    sys.exit(main())
