"""An agent in miniature: speaks the control protocol, starts real worker JVMs, records what it sees.

It has no cgroups, no store and no coordinator; it does with executors what the target says, at once. The scenarios
beside it (`scenarios.py`) use it to try launcher and Spark module against a real Spark.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import traceback
import uuid
from pathlib import Path

# What Spark's own scripts pass on JDK 17 (org.apache.spark.launcher.JavaModuleOptions); the agent passes the same.
MODULE_OPTIONS = [
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.invoke=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.cs=ALL-UNNAMED",
    "--add-opens=java.base/sun.security.action=ALL-UNNAMED",
    "--add-opens=java.base/sun.util.calendar=ALL-UNNAMED",
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "-Djdk.reflect.useDirectMethodHandle=false",
]


class Lab:
    """Where Spark, hearth's jars and the workers' directories are."""

    def __init__(self, spark_home, jars, root, java="java", flags=()):
        self.spark_home = Path(spark_home).resolve()
        self.jars = Path(jars).resolve()
        self.root = Path(root).resolve()
        self.java = java
        self.flags = list(flags)

    @classmethod
    def from_build(cls, spark_home, modules, root, **options):
        """Copies the built jars first: a build that writes into a running JVM's jar breaks it."""
        jars = Path(root).resolve() / "jars"
        jars.mkdir(parents=True, exist_ok=True)
        for module, jar in (("launcher", "hearth-launcher"), ("spark", "hearth-spark"), ("examples", "spark-examples")):
            built, copy = Path(modules) / module / "target" / f"{jar}.jar", jars / f"{jar}.jar"
            if not copy.exists() or copy.read_bytes() != built.read_bytes():
                shutil.copyfile(built, copy)
        return cls(spark_home, jars, root, **options)

    @property
    def examples(self):
        return self.jars / "spark-examples.jar"

    def class_path(self):
        return ":".join([str(self.jars / "hearth-launcher.jar"), str(self.jars / "hearth-spark.jar"),
                         str(self.spark_home / "jars/*")])

    def environment(self):
        """What a worker's environment has for its engine."""
        return {"SPARK_HOME": str(self.spark_home)}

    def train(self):
        """Makes the class-data archives as the agent does, once for a bundle. Returns their paths by role."""
        directory = self.root / "archives"
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([self.java, "-cp", self.class_path(), "org.apache.spark.hearth.ArchiveTraining", str(directory)],
                       cwd=self.root, env={**os.environ, "SPARK_HOME": str(self.spark_home)}, check=True, timeout=600)
        return {role: directory / f"{role}.jsa" for role in ("driver", "executor")}


class Worker:
    """One JVM with its directory, its socket, and both directions of its control channel."""

    def __init__(self, lab, name, order, on_report, heap="1g", java_opts=(), class_path=()):
        self.lab = lab
        self.name = name
        self.on_report = on_report
        self.dir = lab.root / name
        for part in ("work", "logs", "run", "tmp"):
            (self.dir / part).mkdir(parents=True)
        self.lock = threading.RLock()
        self.unacknowledged = []
        self.seq = 0
        self.received = 0
        self.sessions = []
        self.connection = None
        self.times = {"spawn": time.time()}
        self.reports = []
        self.exit_code = None
        self.exited = threading.Event()
        self._listen()
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.dir / "work"), "TMPDIR": str(self.dir / "tmp"),
            "LANG": "C.UTF-8", "HEARTH_CONTROL": "../run/control.sock", "HEARTH_WORKER_ID": name, **lab.environment(),
        }
        command = [lab.java, f"-Xmx{heap}", *MODULE_OPTIONS, f"-Djava.io.tmpdir={self.dir / 'tmp'}", *lab.flags,
                   *java_opts, "-cp", ":".join([*class_path, lab.class_path()]), "io.hearth.launcher.Main"]
        self.process = subprocess.Popen(
            command, cwd=self.dir / "work", env=env, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=open(self.dir / "logs/stdout", "ab"), stderr=open(self.dir / "logs/stderr", "ab"))
        if order:
            self.send(order)
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self):
        code = self.process.wait()
        self.exit_code = code if code >= 0 else 128 - code
        self.times["exit"] = time.time()
        self.exited.set()
        self.on_report(self, {"type": "_exited", "exit_code": self.exit_code})

    def _listen(self):
        path = self.dir / "run/control.sock"
        path.unlink(missing_ok=True)
        here = os.open(self.dir / "run", os.O_RDONLY)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(f"/proc/self/fd/{here}/control.sock")
        os.close(here)
        self.server.listen()
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def _accept(self, server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            try:
                self._serve(connection)
            except (OSError, ValueError) as error:
                if not self.exited.is_set() and self.server is server:
                    self.times.setdefault("broken", str(error))

    def _serve(self, connection):
        lines = connection.makefile("r", encoding="utf-8")
        hello = json.loads(lines.readline() or "{}")
        assert hello["type"] == "hello" and hello["protocol"] == 1 and hello["worker_id"] == self.name, hello
        with self.lock:
            if hello["session"] not in self.sessions:
                self.sessions.append(hello["session"])
            self.times.setdefault("hello", time.time())
            self.unacknowledged = [m for m in self.unacknowledged if m["seq"] > hello["last_received"]]
            self.seq = max(self.seq, hello["last_received"])
            self._write(connection, {"type": "welcome", "protocol": 1, "last_received": self.received})
            for message in self.unacknowledged:
                self._write(connection, message)
            self.connection = connection
        for line in lines:
            message = json.loads(line)
            if message["type"] == "ack":
                with self.lock:
                    self.unacknowledged = [m for m in self.unacknowledged if m["seq"] > message["seq"]]
                continue
            if "seq" in message:
                with self.lock:
                    is_new = message["seq"] > self.received
                    self.received = max(self.received, message["seq"])
                    self._write(connection, {"type": "ack", "seq": self.received})
                if not is_new:
                    continue
            self.times.setdefault(message["type"], time.time())
            self.reports.append(message)
            self.on_report(self, message)

    @staticmethod
    def _write(connection, message):
        connection.sendall((json.dumps(message) + "\n").encode())

    def send(self, message):
        with self.lock:
            self.seq += 1
            message = {**message, "seq": self.seq}
            self.unacknowledged.append(message)
            if self.connection is not None:
                try:
                    self._write(self.connection, message)
                except OSError:
                    pass  # It will be sent again.

    def restart_channel(self, forget=False):
        """What an agent's restart looks like from here: the socket goes and comes back."""
        with self.lock:
            old, self.connection = self.connection, None
        self.server.close()
        (self.dir / "run/control.sock").unlink()
        old.shutdown(socket.SHUT_RDWR)
        old.close()
        if forget:
            self.received = 0
            self.seq = 0
        self._listen()

    def kill(self, sign=signal.SIGTERM):
        try:
            os.kill(self.process.pid, sign)
        except ProcessLookupError:
            pass

    def log(self, stream="stderr"):
        return (self.dir / "logs" / stream).read_text(errors="replace")

    def last(self, kind):
        return next((m for m in reversed(self.reports) if m["type"] == kind), None)


def wait(driver, others, seconds):
    """The driver's exit code; the job's other workers have ended, too."""
    assert driver.exited.wait(seconds), f"driver still runs after {seconds} s, see {driver.dir}"
    deadline = time.time() + 20
    for other in others:
        assert other.exited.wait(max(0.1, deadline - time.time())), f"{other.name} still runs"
    return driver.exit_code


def until(driver, condition, what, seconds):
    """Waits for a condition while the driver runs."""
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, f"not within {seconds} s: {what}; see {driver.dir}"
        assert not driver.exited.is_set(), f"driver ended before: {what}; see {driver.dir}"
        time.sleep(0.02)


def tell(scenarios, names, lab, clean=lambda: None):
    """Runs those scenarios, all without names, and says how each went. 1 if one failed, as an exit code."""
    failed = 0
    for name in names or scenarios:
        began = time.time()
        try:
            result = scenarios[name](lab)
            print(f"ok   {name} ({time.time() - began:.1f} s)\n    {result}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name} ({time.time() - began:.1f} s)", flush=True)
            traceback.print_exc()
        finally:
            clean()
    return 1 if failed else 0


class Job:
    """A driver and the executors it asks for."""

    def __init__(self, lab, name, args, conf=None, env=None, secret=None, unpack=(), auth=False, driver_opts=(),
                 start_executors=True, run_args=()):
        self.lab = Lab(lab.spark_home, lab.jars, lab.root / name, lab.java, lab.flags)
        shutil.rmtree(self.lab.root, ignore_errors=True)
        self.lab.root.mkdir(parents=True)
        self.lock = threading.RLock()
        self.secret = secret or (uuid.uuid4().hex + uuid.uuid4().hex)
        self.executors = {}
        self.unwanted = set()
        self.next_id = 1
        self.targets = []
        self.registration = None
        self.registrations = 0
        self.blame_app = False
        self.start_executors = start_executors
        events = self.lab.root / "events"
        events.mkdir()
        settings = {
            "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.instances": "2", "spark.executor.cores": "1", "spark.executor.memory": "512m",
            "spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file://{events}",
            "spark.hearth.appId": "00f0abc0000000001", "spark.ui.port": "0",
            "spark.authenticate": str(auth).lower(), **(conf or {}),
        }
        arguments = ["--master", "spark-hearth://local", "--name", name]
        for key, value in settings.items():
            arguments += ["--conf", f"{key}={value}"]
        self.driver = Worker(self.lab, "driver", {
            "type": "run", "kind": "spark-driver", "args": [*arguments, *args], "properties": {},
            "env": env or {}, "secret": self.secret, "unpack": list(unpack),
        }, self._on_report, java_opts=driver_opts)

    def _on_report(self, worker, message):
        if message["type"] == "register_app":
            self.registration = message
            self.registrations += 1
        elif message["type"] == "set_target":
            with self.lock:
                self.targets.append((time.time(), message["profiles"]))
                self._reach_target()
        elif message["type"] == "kill_executors":
            with self.lock:
                for executor in message["ids"]:
                    self.unwanted.add(executor)
                    if executor in self.executors:
                        self.executors[executor].kill()
        elif message["type"] == "unregister_app":
            self.unregistered = True
        elif message["type"] == "_exited":
            if worker is self.driver:
                for executor in list(self.executors.values()):
                    if not executor.exited.wait(5):
                        executor.kill(signal.SIGKILL)
            else:
                executor_id = worker.name.removeprefix("executor-")
                with self.lock:
                    self.driver.send({"type": "executor_exited", "id": executor_id, "exit_code": worker.exit_code,
                                      "caused_by_app": self.blame_app, "reason": f"exit status {worker.exit_code}"})
                    self._reach_target()

    def alive(self):
        return [n for n, w in self.executors.items() if not w.exited.is_set() and n not in self.unwanted]

    def _reach_target(self):
        if not self.start_executors or self.registration is None or self.driver.last("unregister_app") \
                or self.driver.exited.is_set():
            return
        [profile] = self.targets[-1][1]
        while len(self.alive()) < profile["count"]:
            self._start_executor(profile)

    def _start_executor(self, profile):
        executor_id = str(self.next_id)
        self.next_id += 1
        executor = self.registration["executor"]
        self.executors[executor_id] = Worker(self.lab, f"executor-{executor_id}", {
            "type": "run", "kind": "spark-executor", "properties": executor["properties"], "env": executor["env"],
            "secret": self.secret, "args": [
                "--driver-url", self.registration["driver_url"], "--executor-id", executor_id, "--hostname", "127.0.0.1",
                "--bind-address", "127.0.0.1", "--cores", str(profile["cores"]), "--app-id",
                self.registration["app_id"], "--resourceProfileId", str(profile["rp_id"])],
        }, self._on_report, heap=f"{profile['memory_mib']}m", java_opts=executor["java_opts"],
           class_path=executor["class_path"])
        self.driver.send({"type": "executor_launched", "id": executor_id, "host": "127.0.0.1"})

    def wait(self, seconds=120):
        return wait(self.driver, self.executors.values(), seconds)

    def until(self, condition, what, seconds=60):
        until(self.driver, condition, what, seconds)

    def stop(self):
        for worker in [self.driver, *self.executors.values()]:
            worker.kill(signal.SIGKILL)
