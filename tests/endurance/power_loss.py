#!/usr/bin/env python3
"""Cuts the power of a machine that runs hearth, again and again, and asks for all that was ever answered.

usage: python3 tests/endurance/power_loss.py [--kills N] [--seed N] [--without-syncs]

`hearth up` runs in a User-mode Linux guest (`guest.py`) with its data on a disk of the guest's. Clients outside of it
create, put, start, cancel and delete; each answer is known here alone. At a random moment, one time in four while hearth is
still starting, the guest is killed; it boots again on the same disk. Then hearth must serve, and

- every answered change is there, and one without an answer is there whole or not at all (P1): objects with the right bytes,
  deletions, parts of uploads, applications, job runs, tags;
- a client token that is repeated answers the same resource, and no name is there twice (P2);
- a final state that was seen is as it was (P4);
- the agent attaches again with the identity that it had.

`--without-syncs` lets every fsync of hearth do nothing (libeatmydata): the trial must then find something missing, and ends
with 0 only if it did. Wants root, Debian's apt, iproute2, e2fsprogs, util-linux, patchelf and, for that, eatmydata.
`HEARTH_TEST_DIST=DIR` tests another built tree.
"""

import argparse
import collections
import contextlib
import hashlib
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3
import botocore.exceptions
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import guest
from lab import DIST, RELEASE, wait_for

ENDPOINT = f"http://{guest.GUEST}:8420"
BUCKET = "power"
CLIENTS = 6
FINAL = {"SUCCESS", "FAILED", "CANCELLED"}
LONGEST_LIFE = 8
PART = 5 << 20
EATMYDATA = "/usr/lib/x86_64-linux-gnu/libeatmydata.so"


class NoAnswer(Exception):
    """The request may have been carried out or not."""


class Missing(Exception):
    """What was answered is not so any more."""


def content(name, version):
    """The bytes of a version of an object: any length up to some 300 kB, nothing a full or an empty page could pass for."""
    seed = hashlib.sha256(f"{name} {version}".encode()).digest()
    length = int.from_bytes(seed[:3], "big") % (300_000 if seed[3] % 4 == 0 else 9_000)
    return random.Random(seed).randbytes(length)


def part_content(name, version, number):
    return random.Random(f"{name} {version} {number}").randbytes(PART if number == 1 else 1000)


class Service:
    """hearth's API, where an error of the machine is told from an answer."""

    def __init__(self, settings):
        def client(service, **more):
            return boto3.client(
                service, endpoint_url=ENDPOINT, region_name=settings["AWS_DEFAULT_REGION"],
                aws_access_key_id=settings["AWS_ACCESS_KEY_ID"], aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
                config=Config(retries={"total_max_attempts": 1}, proxies={}, connect_timeout=5, read_timeout=15, **more))
        self.emr, self.s3 = client("emr-serverless"), client("s3", s3={"addressing_style": "path"})

    @staticmethod
    def ask(call, **request):
        try:
            return call(**request)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise NoAnswer from error
            raise
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            raise NoAnswer from error

    def body(self, key):
        """An object's bytes, or None."""
        try:
            answer = self.ask(self.s3.get_object, Bucket=BUCKET, Key=key)
            return answer["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            raise NoAnswer from error


class Client:
    """One client with resources of its own. It knows of each what it may be: one thing, or two where an answer is missing."""

    def __init__(self, number, seed, application):
        self.number, self.random, self.application = number, random.Random(seed), application
        self.objects = {}                       # key: possible versions; None is a deleted one
        self.uploads = {}                       # key: (upload id, {part number: ETag})
        self.runs, self.unanswered = {}, {}     # client token: job run id; tokens whose answer is missing
        self.applications, self.tags = {}, {}   # token: application id; job run: possible values of a tag
        self.cancelled, self.final = set(), {}  # job runs: answered cancellations, final states seen
        self.version, self.answers, self.doubts = 0, collections.Counter(), 0

    def work(self, service, stop):
        """Changes things until the machine is gone or `stop` is set."""
        steps = [self.put] * 6 + [self.start] * 4 + [self.cancel, self.tag, self.delete, self.upload, self.look, self.create]
        with contextlib.suppress(NoAnswer):
            while not stop.is_set():
                step = self.random.choice(steps)
                step(service)
                self.answers[step.__name__] += 1

    def change(self, known, name, new, call, **request):
        """Carries out a change of `known[name]`; until it is answered, either may be."""
        former = known.get(name, {None})
        known[name] = former | {new}
        answer = Service.ask(call, **request)
        known[name] = {new}
        return answer

    def next_version(self):
        self.version += 1
        return self.version

    def key(self):
        return f"{self.number}/{self.random.randrange(40)}"

    def put(self, service):
        key, version = self.key(), self.next_version()
        self.change(self.objects, key, version, service.s3.put_object, Bucket=BUCKET, Key=key, Body=content(key, version))

    def delete(self, service):
        key = self.key()
        self.change(self.objects, key, None, service.s3.delete_object, Bucket=BUCKET, Key=key)

    def upload(self, service):
        """One step of an upload in two parts, begun where none is under way."""
        key = f"{self.number}/parts"
        if key not in self.uploads:
            made = Service.ask(service.s3.create_multipart_upload, Bucket=BUCKET, Key=key)
            self.uploads[key] = made["UploadId"], self.next_version(), {}
            return
        upload, version, parts = self.uploads[key]
        about = dict(Bucket=BUCKET, Key=key, UploadId=upload)
        if len(parts) < 2:
            number = len(parts) + 1
            parts[number] = Service.ask(service.s3.upload_part, PartNumber=number, Body=part_content(key, version, number), **about)["ETag"]
            return
        listed = [{"PartNumber": number, "ETag": tag} for number, tag in parts.items()]
        # Whether or not it is answered, this upload is over: what the key holds is checked.
        del self.uploads[key]
        self.change(self.objects, key, -version, service.s3.complete_multipart_upload, MultipartUpload={"Parts": listed}, **about)

    def start_with(self, service, token):
        run = Service.ask(
            service.emr.start_job_run, applicationId=self.application, executionRoleArn=service.role, clientToken=token, name=token,
            jobDriver={"sparkSubmit": {"entryPoint": f"s3://{BUCKET}/{token}.py"}})
        return run["jobRunId"]

    def start(self, service):
        token = f"run-{self.number}-{self.next_version()}"
        self.unanswered[token] = True
        self.runs[token] = self.start_with(service, token)
        del self.unanswered[token]

    def create(self, service):
        token = f"application-{self.number}-{self.next_version()}"
        made = Service.ask(service.emr.create_application, name=token, clientToken=token, releaseLabel=RELEASE, type="SPARK")
        self.applications[token] = made["applicationId"]

    def some_run(self):
        return self.random.choice(list(self.runs.values())) if self.runs else None

    def cancel(self, service):
        if (run := self.some_run()) and run not in self.final:
            with contextlib.suppress(service.emr.exceptions.ValidationException, service.emr.exceptions.ConflictException):
                Service.ask(service.emr.cancel_job_run, applicationId=self.application, jobRunId=run)
                self.cancelled.add(run)

    def tag(self, service):
        if run := self.some_run():
            arn = f"arn:aws:emr-serverless:us-east-1:000000000000:/applications/{self.application}/jobruns/{run}"
            value = str(self.next_version())
            self.change(self.tags, run, value, service.emr.tag_resource, resourceArn=arn, tags={"seen": value})

    def look(self, service):
        """Remembers a final state."""
        if run := self.some_run():
            self.see(service, run)

    def see(self, service, run):
        found = Service.ask(service.emr.get_job_run, applicationId=self.application, jobRunId=run)["jobRun"]
        end = {part: found[part] for part in ("state", "stateDetails", "updatedAt")}
        if found["state"] in FINAL and self.final.setdefault(run, end) != end:
            raise Missing(f"job run {run} ended as {self.final[run]} and is now {end}")
        return found

    def check(self, service, is_all):
        """Compares what is there with what was answered: all of it, or what the last life may have touched."""
        recent = list(self.runs.items()) if is_all else list(self.runs.items())[-40:]
        for token in list(self.unanswered):
            self.doubts += 1
            self.runs[token] = self.start_with(service, token)
            del self.unanswered[token]
        for key, versions in self.objects.items():
            self.check_object(service, key, versions)
        for key, (upload, _, parts) in self.uploads.items():
            try:
                listed = Service.ask(service.s3.list_parts, Bucket=BUCKET, Key=key, UploadId=upload).get("Parts", [])
            except botocore.exceptions.ClientError as error:
                raise Missing(f"upload {upload} of {key}: {error}") from None
            found = {part["PartNumber"]: part["ETag"] for part in listed}
            # A part more than was answered is one whose answer is missing.
            if any(found.get(number) != tag for number, tag in parts.items()):
                raise Missing(f"upload {upload} of {key} has parts {found}, answered were {parts}")
        for token, run in recent:
            self.check_run(service, token, run)
        for token, application in self.applications.items() if is_all else []:
            found = Service.ask(service.emr.create_application, name=token, clientToken=token, releaseLabel=RELEASE, type="SPARK")
            if found["applicationId"] != application:
                raise Missing(f"token {token} made application {application}, and now {found['applicationId']}")

    def check_object(self, service, key, versions):
        body = service.body(key)
        for version in versions:
            expected = (None if version is None else content(key, version) if version > 0
                        else b"".join(part_content(key, -version, number) for number in (1, 2)))
            if body == expected:
                self.doubts += len(versions) > 1
                self.objects[key] = {version}
                return
        raise Missing(f"object {key} is none of its versions {versions}: {'gone' if body is None else f'{len(body)} bytes'}")

    def check_run(self, service, token, run):
        try:
            found = self.see(service, run)
        except service.emr.exceptions.ResourceNotFoundException:
            raise Missing(f"job run {run} of token {token} is gone") from None
        if found["name"] != token:
            raise Missing(f"job run {run} is called {found['name']}, not {token}")
        if run in self.cancelled and found["state"] not in FINAL | {"CANCELLING"}:
            raise Missing(f"job run {run} was cancelled and is {found['state']}")
        if run in self.tags:
            if found["tags"].get("seen") not in self.tags[run]:
                raise Missing(f"job run {run} has tags {found['tags']}, not one of {self.tags[run]}")
            self.tags[run] = {found["tags"].get("seen")}
        if (again := self.start_with(service, token)) != run:
            raise Missing(f"token {token} made job run {run}, and now {again}")


class Trial:
    """One guest, its clients, and what was found."""

    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.home = Path(tempfile.mkdtemp(prefix="hearth-power-"))
        preload = f"LD_PRELOAD={EATMYDATA} " if options.without_syncs else ""
        # Without a PATH there is neither pip nor Maven: job runs of a release that nobody imported end as FAILED.
        up = f"/run/dist/bin/hearth up --data-dir /mnt/data --listen {guest.GUEST}:8420 --insecure-http --capacity real"
        self.guest = guest.Guest(self.home, DIST, f"""
            ( until [ -e /mnt/data/env ]; do sleep 0.2; done; cp /mnt/data/env /run/shared/env.new; sync
              mv /run/shared/env.new /run/shared/env ) &
            {preload}PATH=/nowhere HEARTH_CACHE=/tmp/cache {up}""")
        self.clients, self.kills, self.starts = [], collections.Counter(), []

    def boot(self):
        self.guest.boot()

    def serve(self):
        began = time.monotonic()
        wait_for("hearth in the guest", lambda: self.guest.says("hearth is ready at"), guest.BOOT_DEADLINE)
        self.starts.append(time.monotonic() - began)
        env = self.guest.shared / "env"
        wait_for("its settings", env.exists, 30)
        settings = dict(line.split("=", 1) for line in env.read_text().splitlines() if "=" in line)
        service = Service(settings)
        service.role = settings["HEARTH_ROLE_ARN"]
        return service

    def prepare(self):
        self.boot()
        service = self.serve()
        service.s3.create_bucket(Bucket=BUCKET)
        for number in range(CLIENTS):
            made = service.emr.create_application(name=f"of-{number}", clientToken=f"of-{number}", releaseLabel=RELEASE, type="SPARK")
            self.clients.append(Client(number, f"{self.options.seed} {number}", made["applicationId"]))
        return service

    def together(self, act):
        """Lets every client do the same at once; the first thing that went wrong is raised."""
        wrong = []

        def run(client):
            try:
                act(client)
            except Exception as error:
                wrong.append(error)
        threads = [threading.Thread(target=run, args=[client]) for client in self.clients]
        for thread in threads:
            thread.start()
        return threads, wrong

    def check(self, service, is_all=False):
        def patiently(client):
            # A busy machine may answer late; what is asked here changes nothing, or the same again.
            for _ in range(5):
                with contextlib.suppress(NoAnswer):
                    return client.check(service, is_all)
            raise Missing(f"client {client.number} gets no answer any more")
        threads, wrong = self.together(patiently)
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
        if is_all:
            for client in self.clients:
                pages = service.emr.get_paginator("list_job_runs").paginate(applicationId=client.application)
                names = collections.Counter(run["name"] for page in pages for run in page["jobRuns"])
                twice = [name for name, times in names.items() if times > 1]
                if twice or set(names) != set(client.runs):
                    raise Missing(f"job runs by name: twice {twice}, unlike what was answered {set(names) ^ set(client.runs)}")

    def live(self, service):
        """Clients work for a while; then there is no power."""
        stop = threading.Event()
        threads, wrong = self.together(lambda client: client.work(service, stop))
        time.sleep(self.random.uniform(0.2, LONGEST_LIFE))
        self.guest.lose_power()
        self.kills["at work"] += 1
        stop.set()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]

    def run(self):
        service = self.prepare()
        while sum(self.kills.values()) < self.options.kills:
            self.live(service)
            self.boot()
            if self.random.random() < 0.25:
                time.sleep(self.random.uniform(0, 1.2) * min(self.starts))
                self.guest.lose_power()
                self.kills["at its start"] += 1
                self.boot()
            service = self.serve()
            self.check(service)
            print(f"{sum(self.kills.values())} kills, {sum(self.answers().values())} answers, "
                  f"{sum(client.doubts for client in self.clients)} changes without an answer", flush=True)
        self.check(service, is_all=True)

    def answers(self):
        return sum((client.answers for client in self.clients), collections.Counter())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the clients' changes and of the moments; printed when chosen")
    parser.add_argument("--without-syncs", action="store_true", help="show that the trial notices what is lost")
    options = parser.parse_args()
    options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
    guest.enter_own_network()
    trial, found = Trial(options), None
    print(f"seed {options.seed}", flush=True)
    try:
        trial.run()
    except (Missing, AssertionError) as error:
        found = error
    finally:
        if trial.guest.process:
            trial.guest.lose_power()
    kills = dict(trial.kills)
    print(f"{sum(kills.values())} kills {kills}, {sum(trial.answers().values())} answers {dict(trial.answers())}, "
          f"{sum(client.doubts for client in trial.clients)} changes without an answer, "
          f"{sum(len(client.final) for client in trial.clients)} final states, "
          f"serving after at most {max(trial.starts, default=0):.1f} s: {found or 'nothing lost, doubled or changed'}")
    if found and not options.without_syncs:
        print(f"kept {trial.home}")
    else:
        shutil.rmtree(trial.home)
    sys.exit(bool(found) != options.without_syncs)


if __name__ == "__main__":
    main()
