"""A machine that can lose power: a User-mode Linux guest with a disk of its own, killed outright.

Its root is this host's, read only, so no image is made. What hearth keeps is on an ext4 disk in a file; a process killed by
SIGKILL takes the guest's page cache with it, so of that disk there remains what was written through, no more.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time

from lab import CACHE

FETCHED = CACHE / "uml"
HOST, GUEST, TAP = "192.0.2.1", "192.0.2.2", "tap0"
DISK_BYTES = 2 << 30
BOOT_DEADLINE = 120


def mirror():
    """Where this machine gets its Debian packages from, as it is configured; unstable is to be had there, too."""
    asked = ["apt-get", "indextargets", "--format", "$(CREATED_BY) $(ORIGIN) $(LABEL) $(REPO_URI)"]
    for line in subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines():
        kind, origin, label, *uri = line.split()
        if (kind, origin, label) == ("Packages", "Debian", "Debian"):
            return uri[0]
    raise SystemExit("apt has no list of Debian's packages: run apt-get update")


def fetch():
    """A User-mode Linux that boots on new processors too: before 6.13 it panics where the host has AMX. By apt, from Debian's
    unstable, with the C library that it wants; nothing is installed, all is below the cache."""
    program = FETCHED / "linux"
    if program.exists():
        return program
    (FETCHED / "lists/partial").mkdir(parents=True, exist_ok=True)
    (FETCHED / "sources").write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} sid main\n")
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={FETCHED}/sources", "-o", "Dir::Etc::sourceparts=-",
           "-o", f"Dir::State::lists={FETCHED}/lists", "-o", f"Dir::Cache={FETCHED}", "-o", "Acquire::Languages=none",
           "-o", "APT::Sandbox::User=root"]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", "user-mode-linux", "libc6"], check=True, cwd=FETCHED)
    for package in FETCHED.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, FETCHED / "root"], check=True)
        package.unlink()
    libraries = FETCHED / "root/usr/lib/x86_64-linux-gnu"
    draft = program.with_suffix(".new")
    draft.write_bytes((FETCHED / "root/usr/bin/linux.uml").read_bytes())
    draft.chmod(0o755)
    subprocess.run(["patchelf", "--set-interpreter", libraries / "ld-linux-x86-64.so.2", "--set-rpath", libraries, draft], check=True)
    draft.rename(program)
    return program


def enter_own_network():
    """Starts this program again in a network namespace of its own, which ends with it; then makes the cable to the guest."""
    if "HEARTH_GUEST_NETWORK" not in os.environ:
        os.environ["HEARTH_GUEST_NETWORK"] = "own"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    for words in (f"tuntap add dev {TAP} mode tap", f"address add {HOST}/30 dev {TAP}", f"link set {TAP} up", "link set lo up"):
        subprocess.run(["ip", *words.split()], check=True)


class Guest:
    """One machine; `command` is shell that its init runs, with the disk at `/mnt` and the built tree `dist` at `/run/dist`."""

    def __init__(self, home, dist, command):
        self.home, self.boots, self.process = home, 0, None
        self.program, self.disk, self.shared = fetch(), home / "disk", home / "shared"
        self.shared.mkdir()
        with self.disk.open("wb") as disk:
            disk.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", self.disk], check=True)
        self.init = home / "init"
        # What fails here is seen on the console; `/mnt` and the others are there on any host.
        self.init.write_text(textwrap.dedent(f"""\
            #!/bin/sh
            mount -t proc proc /proc
            mount -t sysfs sys /sys
            mount -t cgroup2 none /sys/fs/cgroup
            mount -t tmpfs tmpfs /tmp
            mount -t tmpfs tmpfs /run
            mount /dev/ubda /mnt || echo "THE DISK DOES NOT MOUNT"
            mkdir /run/shared /run/dist
            mount -t hostfs -o {self.shared} none /run/shared
            mount -t hostfs -o {dist} none /run/dist
            ip link set lo up; ip address add {GUEST}/30 dev vec0; ip link set vec0 up
            export HOME=/tmp
            {command}
            echo "THE COMMAND ENDED WITH $?"
            while :; do sleep 3600; done
            """))
        self.init.chmod(0o755)

    @property
    def console(self):
        return self.home / f"console-{self.boots}"

    def boot(self):
        self.boots += 1
        with self.console.open("wb") as console:
            self.process = subprocess.Popen(
                [self.program, "mem=1G", f"uml_dir={self.home}", f"umid=guest{self.boots}", f"ubd0={self.disk}", "rootfstype=hostfs",
                 "rootflags=/", "ro", f"init={self.init}", f"vec0:transport=tap,ifname={TAP},depth=128", "con=null", "con0=null,fd:1",
                 "ssl=null", "quiet"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)

    def says(self, text):
        """Whether the console shows it; raises when the guest cannot go on."""
        said = self.console.read_text(errors="replace")
        for end in ("THE DISK DOES NOT MOUNT", "THE COMMAND ENDED", "Kernel panic"):
            if end in said:
                raise AssertionError(f"the guest is at its end, see {self.console}:\n{said[-3000:]}")
        return text in said

    def lose_power(self):
        """Nothing in the guest runs on, not even its kernel. Comes back when no process of it is left."""
        group = self.process.pid
        os.killpg(group, signal.SIGKILL)
        self.process.wait(30)
        end = time.monotonic() + 30
        while True:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                return
            assert time.monotonic() < end, f"processes of the guest are left in group {group}"
            time.sleep(0.01)
