"""What a host may rely on and then not have: a name server, an object store that answers, a clock that is right.

A `TroubledCluster` has one host that knows everything by name. Its object store is reached through a `Door` that a test can make
slow or shut; its daemons read the wall clock through `clock.c`, so that a test can make it jump. `CLOCK_MONOTONIC` and
`CLOCK_BOOTTIME` are the host's own.
"""

import contextlib
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from hosts import Cluster, ip

COORDINATOR, STORE = "coordinator.hearth.test", "store.hearth.test"


class NameServer:
    """Answers questions for addresses (RFC 1035), of the names it was given and no others."""

    def __init__(self, address, names):
        self.address, self.names = address, names
        self.socket = None

    def start(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()

    def serve(self, listening):
        with contextlib.suppress(OSError):
            while True:
                question, client = listening.recvfrom(512)
                if not question:
                    return  # It was shut.
                listening.sendto(self.answer(question), client)

    def answer(self, question):
        # Header of 12 bytes, labels with their lengths until an empty one, type and class.
        end = question.index(b"\0", 12)
        labels, at = [], 12
        while at < end:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = question[end + 1:end + 3]
        asked, known = question[12:end + 5], self.names.get(".".join(labels).lower())
        records = b""
        if known and kind == b"\0\1":
            # The question's name again, type A, class IN, to be asked again at once, four bytes.
            records = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 0, 4) + socket.inet_aton(known)
        flags = b"\x81\x80" if known else b"\x81\x83"
        return question[:2] + flags + b"\0\1" + struct.pack("!H", bool(records)) + b"\0\0\0\0" + asked + records

    def stop(self):
        """Questions are refused from now on."""
        if self.socket:
            # Closing alone does not wake who reads.
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
            self.socket = None


class Door:
    """Passes on what comes to an address: at once, or with answers that are late; or it refuses."""

    UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def __init__(self, address, target):
        self.address, self.target = address, target
        self.delay, self.is_unavailable = 0, False
        self.passed, self.refused = 0, 0
        self.listening, self.open = None, set()

    def start(self):
        """Lets everybody in."""
        self.listening = socket.create_server(self.address)
        threading.Thread(target=self.accept, args=(self.listening,), daemon=True).start()

    def accept(self, listening):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(self.target) as server:
            both = (client, server)
            self.open.add(both)
            due = [0.0]
            try:
                back = threading.Thread(target=self.answer, args=(server, client, due), daemon=True)
                back.start()
                while request := client.recv(65536):
                    if self.is_unavailable:
                        self.refuse(client)
                        return
                    # The answer to what was sent last is not passed on before.
                    due[0] = time.monotonic() + self.delay
                    server.sendall(request)
            finally:
                hang_up(both)
                self.open.discard(both)

    def answer(self, server, client, due):
        with contextlib.suppress(OSError):
            while answer := server.recv(65536):
                while (wait := due[0] - time.monotonic()) > 0:
                    time.sleep(wait)
                self.passed += 1
                client.sendall(answer)
        hang_up((server, client))

    def refuse(self, client):
        # All of the request first, or the answer would be lost with the connection.
        client.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while client.recv(65536):
                pass
        self.refused += 1
        client.sendall(self.UNAVAILABLE)

    def stop(self):
        """Nobody is let in any more, and who is in is put out."""
        if self.listening:
            hang_up([self.listening])
            self.listening.close()
            self.listening = None
        for both in list(self.open):
            hang_up(both)


def hang_up(sockets):
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Clock:
    """The wall clock of the daemons that are started with `environment`."""

    def __init__(self, home):
        self.offset = home / "clock-offset"
        self.library = home / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, Path(__file__).with_name("clock.c"), "-ldl"], check=True)
        # Always as long: it is mapped.
        self.offset.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(self.library), "LAB_CLOCK_OFFSET": str(self.offset)}

    def jump(self, seconds):
        """Puts it that far ahead of the host's."""
        with self.offset.open("r+b") as offset:
            offset.write(struct.pack("=q", seconds))


class TroubledCluster(Cluster):
    """A cluster of one host for which everything goes well until a test says otherwise."""

    coordinator_name, store_name = COORDINATOR, STORE

    def __init__(self):
        super().__init__(hosts=1, scheme="http")
        self.names = self.door = None
        self.clock = Clock(self.home)
        self.environment_of_daemons = self.coordinator.environment = self.clock.environment
        resolver = self.home / "resolv.conf"
        # In a view of its own of the file system, the host asks this cluster's name server; and is not patient.
        self.around_agents = ("unshare", "--mount", "sh", "-c", f'mount --bind "{resolver}" /etc/resolv.conf && exec "$@"', "-")

    def add_host(self):
        """The one host, with all that it relies on."""
        door = self.network.address(2)
        ip("address", "add", f"{door}/24", "dev", self.network.bridge)
        self.names = NameServer(self.address, {COORDINATOR: self.address, STORE: door})
        self.door = Door((door, 8420), (self.address, 8420))
        (self.home / "resolv.conf").write_text(f"nameserver {self.address}\noptions timeout:2 attempts:1\n")
        self.names.start()
        self.door.start()
        return super().add_host()

    def settings(self):
        # We are not on the host that knows the names.
        return super().settings() | {"AWS_ENDPOINT_URL": f"http://{self.address}:8420"}

    def stop(self):
        super().stop()
        for service in (self.names, self.door):
            if service:
                service.stop()
