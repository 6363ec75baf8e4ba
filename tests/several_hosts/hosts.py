"""A cluster of several hosts on one machine: a network namespace each, with an address of its own, joined by a bridge.

The daemons run as they do on real hosts, from configuration files: the coordinator on the bridge's address, an agent in each
namespace. Everything made here carries this process's id in its name and is removed in the end.
"""

import ipaddress
import itertools
import json
import os
import signal
import subprocess
from pathlib import Path

from lab import BUNDLE_DEADLINE, DIST, RELEASE, Endpoint, Jobs, client_of, wait_for

PREFIX = f"hl{os.getpid()}"
START_DEADLINE = 60
BUCKET = "several-hosts"
ATTACHED = "attached to the coordinator"


class NoNamespaces(Exception):
    """This machine does not let us make networks; the message says what was refused."""


def ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], text=True, capture_output=True)
    if check and done.returncode != 0:
        raise AssertionError(f"ip {' '.join(map(str, words))}: {done.stderr}")
    return done


class Network:
    """A bridge, and one namespace at the end of each of its cables."""

    numbers = itertools.count()

    def __init__(self):
        # Apart from other networks of this process and of others at the same time.
        self.number = next(self.numbers)
        place = 8 * os.getpid() + self.number
        self.range = ipaddress.ip_network(f"10.{200 + place // 256 % 50}.{place % 256}.0/24")
        self.name = f"{PREFIX}{'abcdefgh'[self.number]}"
        self.bridge = f"{self.name}b"
        self.namespaces = []
        self.is_made = False

    def address(self, number):
        return str(self.range[number])

    def start(self):
        """The coordinator's address; raises `NoNamespaces` where none may be made."""
        if os.geteuid() != 0:
            raise NoNamespaces("only root may make network namespaces")
        for words in (["netns", "add", f"{self.name}-probe"], ["netns", "delete", f"{self.name}-probe"],
                      ["link", "add", self.bridge, "type", "bridge"]):
            try:
                done = ip(*words, check=False)
            except FileNotFoundError:
                raise NoNamespaces("`ip` is missing: install iproute2") from None
            if done.returncode != 0:
                raise NoNamespaces(f"`ip {' '.join(words)}` is refused: {done.stderr.strip()}")
        self.is_made = True
        ip("address", "add", f"{self.address(1)}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        return self.address(1)

    def plug(self, number):
        """Makes a namespace with an address; answers both."""
        namespace, cable, address = f"{self.name}-{number}", self.cable(number), self.address(10 + number)
        ip("netns", "add", namespace)
        self.namespaces.append(namespace)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("link", "set", cable, "master", self.bridge, "up")
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        ip("-n", namespace, "link", "set", "lo", "up")
        return namespace, address

    def cable(self, number):
        return f"{self.name}v{number}"

    def cut(self, number):
        ip("link", "set", self.cable(number), "down")

    def mend(self, number):
        ip("link", "set", self.cable(number), "up")

    def remove(self):
        if not self.is_made:
            return
        for namespace in self.namespaces:
            # With the namespace goes its end of the cable, and with that the other one.
            ip("netns", "delete", namespace, check=False)
        ip("link", "delete", self.bridge, check=False)


class Daemon:
    """One daemon of a built tree with its log; `inside` is what it is started with."""

    def __init__(self, dist, program, config, log, inside=(), environment=None):
        self.dist, self.name, self.config, self.inside = dist, program, config, inside
        self.environment = environment or {}
        self.log, self.process = log, None

    @property
    def command(self):
        return [*self.inside, self.dist / "bin" / self.name, "--config", self.config]

    def start(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "HEARTH_"))}
        # What was downloaded once is not downloaded again, and a test may have points at which it wants them dead.
        environment |= {key: os.environ[key] for key in ("HEARTH_CACHE", "HEARTH_FAULTS") if key in os.environ} | self.environment
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)

    def kill(self, with_signal=signal.SIGKILL):
        """Ends it, and answers its exit code; none if it did not run."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code, self.process = self.process.wait(30), None
        return code

    def times(self, text):
        """How often it said so."""
        if self.process and self.process.poll() not in (None, -signal.SIGKILL):
            raise AssertionError(f"{self.command} ended:\n{self.log.read_text()[-4000:]}")
        return self.log.read_text(errors="replace").count(text) if self.log.exists() else 0


class Host:
    """One host of the cluster."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.namespace, self.address = cluster.network.plug(number)
        self.inside = ["nsenter", f"--net=/run/netns/{self.namespace}", *cluster.around_agents]
        self.state = cluster.home / f"host-{number}"
        self.cgroup = f"lab-{os.getpid()}-{cluster.network.number}-{number}"
        self.config = cluster.home / f"agent-{number}.toml"
        self.agent = Daemon(cluster.dist, "hearth-agent", self.config, cluster.home / f"agent-{number}.log", self.inside,
                            cluster.environment_of_daemons)
        self.id = None

    def join(self):
        """Enrols with a token, as a person would."""
        made = self.cluster.run("--data-dir", self.cluster.data_dir, "agent", "join-token")
        fingerprint = made.stderr.split("--ca-fingerprint")[1].split()[0]
        joined = subprocess.run(
            [*self.inside, self.agent.dist / "bin/hearth-agent", "join", "--coordinator", f"{self.cluster.address}:8422",
             "--token", made.stdout.strip(), "--ca-fingerprint", fingerprint, "--state-dir", self.state],
            text=True, capture_output=True, timeout=60)
        assert joined.returncode == 0, joined.stderr
        self.id = joined.stdout.split(" as agent ")[1].split(";")[0]
        # Room for two of the smallest workers: a job with two executors needs two hosts.
        self.config.write_text(
            f'state_dir = "{self.state}"\ncoordinators = ["{self.cluster.coordinator_name}:8421"]\n'
            f'worker_address = "{self.address}"\ncapacity = {{ vcpu = 2, memory_gib = 4, disk_gib = 100 }}\n'
            f'host = {{ cgroup = "{self.cgroup}", first_uid = {800_000 + 10_000 * self.cluster.network.number + 1000 * self.number}, uids = 1000 }}\n'
            'archives.enabled = false\nhealth.listen = "127.0.0.1:8425"\n')
        return self

    def start(self):
        self.agent.start()
        return self

    def workers(self, kind=None):
        """Workers that run here, by id: what was asked for, and their process. `kind`: SPARK_DRIVER or SPARK_EXECUTOR."""
        found = {}
        for directory in (self.state / "workers").glob("*"):
            try:
                spec = json.loads((directory / "spec.json").read_text())
                process = json.loads((directory / "keeper.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                continue  # It is just being made or removed.
            if (directory / "exit.json").exists() or kind not in (None, spec["kind"]):
                continue
            found[directory.name] = process["child_pid"]
        return found

    def cut(self):
        self.cluster.network.cut(self.number)

    def mend(self):
        self.cluster.network.mend(self.number)

    def has_link(self):
        [link] = json.loads(ip("-n", self.namespace, "-json", "link", "show", "eth0").stdout)
        return "NO-CARRIER" not in link["flags"]

    def processes(self):
        listed = ip("netns", "pids", self.namespace, check=False).stdout.split()
        return [int(pid) for pid in listed]

    def remove(self):
        """Ends all that runs here; agents leave their workers running."""
        self.agent.kill()

        def nothing_runs():
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not self.processes()
        wait_for(f"the end of all processes of {self.namespace}", nothing_runs, 30)
        for parent in parent_groups(self.cgroup):
            for directory in [*parent.glob("*/"), parent]:
                wait_for(f"{directory} to be empty", lambda: removed(directory), 10)


def parent_groups(name):
    """The agents' groups of this name, in the one tree or in each controller's. No `**`: groups of others come and go."""
    return [group for tree in ("", "*/") for group in Path("/sys/fs/cgroup").glob(f"{tree}hearth/{name}")]


def removed(directory):
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class Cluster(Endpoint):
    """A coordinator, with `settings` more in its configuration, and its hosts."""

    # For those that are unlike: what every agent's command begins with, and what all daemons find in their environment.
    around_agents = ()
    environment_of_daemons = {}

    def __init__(self, hosts=2, settings="", dist=DIST, scheme="https"):
        super().__init__("several-hosts", scheme=scheme, dist=dist)
        self.network = Network()
        self.hosts, self.wanted, self.more = [], hosts, settings
        self.address = None
        self.coordinator = Daemon(dist, "hearth-coordinator", self.home / "coordinator.toml", self.home / "coordinator.log",
                                  environment=self.environment_of_daemons)

    @property
    def coordinator_name(self):
        """The host that agents are told to find the coordinator on."""
        return self.address

    @property
    def store_name(self):
        """The host that agents and their workers find the object store on."""
        return self.address

    def start(self):
        self.address = self.network.start()
        # An earlier version's coordinator refuses what it does not know yet.
        uis = 'ui_listen = "127.0.0.1:0"\n' if self.dist == DIST else ""
        (self.home / "coordinator.toml").write_text(
            f'data_dir = "{self.data_dir}"\nlisten = "{self.address}:8420"\n'
            f'{"tls" if self.scheme == "https" else "insecure_http"} = true\n'
            f'agents_listen = "{self.address}:8421"\nenrolment_listen = "{self.address}:8422"\n'
            f'advertise_host = "{self.store_name}"\ncluster = "lab"\n{uis}{self.more}')
        self.start_coordinator()
        for number in range(1, self.wanted + 1):
            self.add_host()
        return self

    def start_coordinator(self):
        ready = self.coordinator.times("coordinator ready")
        self.coordinator.start()
        wait_for("the coordinator", lambda: self.coordinator.times("coordinator ready") > ready and self.answers(), START_DEADLINE)

    def add_host(self):
        """One more host, in contact."""
        host = Host(self, len(self.hosts) + 1)
        self.hosts.append(host)
        host.join().start()
        wait_for(f"agent {host.id}", lambda: host.agent.times(ATTACHED), START_DEADLINE)
        return host

    def host_of_driver(self):
        """The one host that runs a driver, and the others."""
        here = [host for host in self.hosts if host.workers("SPARK_DRIVER")]
        assert len(here) == 1, here
        return here[0], [host for host in self.hosts if host is not here[0]]

    def workers(self):
        return {worker: pid for host in self.hosts for worker, pid in host.workers().items()}

    def become_idle(self):
        """Waits until no worker is left: the next job's then have the hosts for themselves."""
        wait_for("all workers to be gone", lambda: not any(list((host.state / "workers").glob("*")) for host in self.hosts), 60)

    def logs(self):
        return [self.coordinator.log, *(host.agent.log for host in self.hosts)]

    def stop(self):
        for host in self.hosts:
            host.remove()
        self.coordinator.kill(signal.SIGTERM)
        self.network.remove()
        self.remove()


def leftovers(cluster):
    """What of a stopped cluster is still there: names of namespaces, interfaces and control groups."""
    name = cluster.network.name
    namespaces = [line.split()[0] for line in ip("netns", "list").stdout.splitlines() if line.startswith(name)]
    links = [link["ifname"] for link in json.loads(ip("-json", "link").stdout) if link["ifname"].startswith(name)]
    groups = [str(path) for host in cluster.hosts for path in parent_groups(host.cgroup)]
    return namespaces + links + groups


def jobs_on(cluster):
    """Job runs of one application. The first one here pays for the release bundle."""
    emr, s3 = client_of(cluster, "emr-serverless"), client_of(cluster, "s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket=BUCKET)
    application = emr.create_application(name=BUCKET, releaseLabel=RELEASE, type="SPARK")["applicationId"]
    jobs = Jobs(emr, s3, application, cluster.settings()["HEARTH_ROLE_ARN"], BUCKET)
    jobs.run(jobs.put("first.py", "print('the release is here')"), deadline=BUNDLE_DEADLINE)
    return jobs
