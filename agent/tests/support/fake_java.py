#!/usr/bin/env python3
"""Stands in for a worker's JVM: speaks the control protocol and does what the job's first argument says."""
import http.server, json, os, select, socket, sys, threading, time, urllib.request, uuid

if "org.apache.spark.hearth.ArchiveTraining" in sys.argv:
    os.mkdir(sys.argv[-1])
    for role in ["driver", "executor"]:
        with open(sys.argv[-1] + "/" + role + ".jsa", "w") as archive:
            archive.write(role + " of uid " + str(os.getuid()))
    sys.exit(0)

PATH = os.environ["HEARTH_CONTROL"]
SESSION = str(uuid.uuid4())


class Channel:
    def __init__(self):
        self.unacknowledged, self.number, self.received, self.socket = [], 0, 0, None

    def connect(self):
        while True:
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(PATH)
                self.buffer = b""
                self.write({"type": "hello", "protocol": 1, "worker_id": os.environ["HEARTH_WORKER_ID"],
                            "session": SESSION, "pid": os.getpid(), "last_received": self.received})
                welcome = self.read_line(10)
                if welcome["type"] != "welcome":
                    sys.exit(70)
                for message in self.unacknowledged:
                    self.write(message)
                return
            except OSError:
                time.sleep(0.05)

    def write(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def send(self, **message):
        self.number += 1
        message["seq"] = self.number
        self.unacknowledged.append(message)
        try:
            self.write(message)
        except OSError:
            self.connect()

    def read_line(self, patience):
        deadline = time.monotonic() + patience
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            data = self.socket.recv(65536)
            if not data:
                raise OSError("closed")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def next(self, patience=60):
        """The next order; reconnects when the agent goes away."""
        while True:
            try:
                message = self.read_line(patience)
            except OSError:
                self.connect()
                continue
            if message is None:
                return None
            if message["type"] == "ack":
                self.unacknowledged = [one for one in self.unacknowledged if one["seq"] > message["seq"]]
                if not self.unacknowledged and patience == 0.1:
                    return None
                continue
            if message["seq"] <= self.received:
                continue
            self.received = message["seq"]
            self.write({"type": "ack", "seq": self.received})
            return message

    def finish(self, code, error=None):
        self.send(type="finished", exit_code=code, error_class=error, error_message=error and "it broke")
        while self.unacknowledged:
            self.next(0.1)
        sys.stdout.flush()
        os._exit(code)


channel = Channel()
channel.connect()
channel.send(type="ready")
run = channel.next()
assert run["type"] == "run", run
channel.send(type="started")
args = run["args"]
print("args", args, "services", os.environ["HEARTH_SERVICE"])
print("uid", os.getuid(), "cwd", os.getcwd(), "home", os.environ["HOME"])
print("jars", os.listdir(os.environ["SPARK_HOME"] + "/jars"), "secret", run["secret"], "java", sys.argv[1:])
for option in sys.argv:
    if option.startswith("-XX:SharedArchiveFile="):
        print("archive", open(option.split("=")[1]).read())
sys.stdout.flush()
if args[0] == "exit":
    request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
                                     headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
    print("key", json.load(urllib.request.urlopen(request))["AccessKeyId"])
    channel.send(type="register_app", app_id="app-1", driver_url="spark://x", ui_port=4040,
                 executor={"java_opts": [], "env": {}, "properties": {"spark.port": "1"}, "class_path": []})
    channel.send(type="set_target", profiles=[{"rp_id": 0, "count": 2, "cores": 1, "memory_mib": 512,
                                               "overhead_mib": 384, "offheap_mib": 0, "pyspark_mib": 0,
                                               "total_mib": 896}])
    channel.write({"type": "progress", "executors": 0})
    channel.finish(int(args[1]), "java.lang.Boom")
if args[0] == "ui":
    class Page(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            page = b"x" * 1_000_000 if self.path == "/big" else f"{self.path} at {self.headers['Host']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(page) + (self.path == "/broken")))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(page)

        do_HEAD = do_GET
        do_POST = do_GET

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The second argument is a port that belongs to somebody else.
    channel.send(type="register_app", app_id="app-1", driver_url="spark://x",
                 ui_port=int(args[1]) if len(args) > 1 else server.server_port,
                 executor={"java_opts": [], "env": {}, "properties": {}, "class_path": []})
if args[0] == "tick":
    # Says when it runs, in seconds since boot, until it is told otherwise or finds the file `end`.
    def tick():
        while True:
            if os.path.exists("end"):
                os._exit(7)
            with open("/proc/uptime") as uptime:
                print("tick", uptime.read().split()[0], flush=True)
            time.sleep(0.02)
    threading.Thread(target=tick, daemon=True).start()
if os.fork() == 0:
    # A child that would outlive its parent, as a Python worker might.
    os.setsid()
    time.sleep(600)
while True:
    order = channel.next()
    if order is None:
        continue
    if order["type"] == "cancel":
        channel.finish(143)
    if order["type"] == "executor_exited" and order["id"] == "9":
        channel.finish(0)
