"""What is asked of both of applications and job runs, one session after another, as a client of the service would; and what is kept
of the answers.

A step's outcome is flat: `status`, then a value for each path of the body, or the exception's name. Ids are numbered as they turn
up, times are times, and the words of `stateDetails` and messages are left out: no client can rely on them.
"""

import re
import time
from datetime import datetime, timedelta, timezone

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/job"
SPARK = {"releaseLabel": "emr-7.6.0", "type": "SPARK"}
WORKERS = {"DRIVER": {"workerCount": 1, "workerConfiguration": {"cpu": "2 vCPU", "memory": "4 GB"}}}
DRIVER = {"sparkSubmit": {"entryPoint": "s3://data/job.py", "entryPointArguments": ["2026-01-31"],
                          "sparkSubmitParameters": "--conf spark.driver.memory=2g"}}
ON_THE_WAY = {"CREATING", "STARTING", "STOPPING", "SUBMITTED", "CANCELLING"}
# What stands at the end of such paths is the server's choice.
KINDS = {r"jobRunId$|jobRuns\[\d+\]\.id$": "job run", r"applicationId$|(items|applications)\[\d+\]\.id$": "application",
         r"AccessKeyId$": "access key", r"SecretAccessKey$": "secret", r"(User|Role|Policy)Id$": "identity"}
UNKNOWN = "00abcdefghijklmn"


class Client:
    """A client of one server, which remembers what it was answered."""

    def __init__(self, client):
        self.client, self.names, self.outcomes = client, {}, {}

    def run(self, session):
        """One session after another: what an earlier one has made, a later one finds, under new numbers."""
        self.names = {}
        session(self)

    def __call__(self, step, operation, **request):
        """Asks, and keeps what came; answers the body, or nothing when it was refused."""
        assert step not in self.outcomes, f"{step} is there twice"
        try:
            body = getattr(self.client, operation)(**request)
        except ClientError as refused:
            self.outcomes[step] = {"status": refused.response["ResponseMetadata"]["HTTPStatusCode"],
                                   "exception": refused.response["Error"]["Code"]}
            return None
        self.keep(step, **body)
        return body

    def pages(self, step, operation, **request):
        """Asks for all pages, and keeps how long they are and what is in them by name: moto's are in no order."""
        items = []
        for number, page in enumerate(self.client.get_paginator(operation).paginate(**request)):
            listed = page["applications"]
            items += listed
            self.keep(f"{step}, page {number + 1}", status=page["ResponseMetadata"]["HTTPStatusCode"], items=len(listed))
        self.keep(step, items=sorted(items, key=lambda item: item["name"]))

    def keep(self, step, **body):
        if "ResponseMetadata" in body:
            body["status"] = body.pop("ResponseMetadata")["HTTPStatusCode"]
        # Twice: an ARN may come before the id that it holds.
        for _ in range(2):
            self.outcomes[step] = dict(self.flat("", body))

    def flat(self, path, value):
        if isinstance(value, dict) and value:
            for key, item in sorted(value.items()):
                yield from self.flat(f"{path}.{key}" if path else key, item)
        elif isinstance(value, list) and value:
            for number, item in enumerate(value):
                yield from self.flat(f"{path}[{number}]", item)
        elif isinstance(value, (dict, list)):
            yield path, "empty"
        elif isinstance(value, datetime):
            yield path, "a time"
        elif path.endswith("stateDetails"):
            yield path, "a text" if value else value
        else:
            yield path, self.named(path, value) if isinstance(value, str) else value

    def named(self, path, value):
        """The value with numbers for ids."""
        word = next((word for pattern, word in KINDS.items() if re.search(pattern, path)), None)
        if word and value not in self.names:
            self.names[value] = f"<{word} {1 + sum(word in name for name in self.names.values())}>"
        for known, name in self.names.items():
            value = value.replace(known, name)
        return value

    def settled(self, application, job=None):
        """Waits until it is no longer on the way to its next state. Not kept: one server needs time for it, the other none."""
        end = time.monotonic() + 60
        while True:
            if job:
                state = self.client.get_job_run(applicationId=application, jobRunId=job)["jobRun"]["state"]
            else:
                state = self.client.get_application(applicationId=application)["application"]["state"]
            if state not in ON_THE_WAY:
                return
            assert time.monotonic() < end, f"{application} {job or ''} stays {state}"
            time.sleep(0.05)


def an_applications_life(ask):
    made = ask("create", "create_application", name="life", tags={"team": "data"}, **SPARK)["applicationId"]
    it = {"applicationId": made}
    ask.settled(made)
    ask("get new", "get_application", **it)
    ask("start", "start_application", **it)
    ask.settled(made)
    ask("get started", "get_application", **it)
    ask("start again", "start_application", **it)
    ask("update started", "update_application", **it, autoStopConfiguration={"enabled": True, "idleTimeoutMinutes": 5})
    ask("delete started", "delete_application", **it)
    ask("stop", "stop_application", **it)
    ask.settled(made)
    ask("get stopped", "get_application", **it)
    ask("stop again", "stop_application", **it)
    ask("update stopped", "update_application", **it, initialCapacity=WORKERS,
        maximumCapacity={"cpu": "8 vCPU", "memory": "32 GB"}, autoStartConfiguration={"enabled": False},
        autoStopConfiguration={"enabled": True, "idleTimeoutMinutes": 5},
        networkConfiguration={"subnetIds": ["subnet-0a1b2c3d"], "securityGroupIds": ["sg-0a1b2c3d"]})
    ask("get updated", "get_application", **it)
    ask("delete", "delete_application", **it)
    ask("get deleted", "get_application", **it)
    ask("list deleted", "list_applications", states=["TERMINATED"])
    ask("delete again", "delete_application", **it)
    ask("start a job run of deleted", "start_job_run", **it, executionRoleArn=ROLE, jobDriver=DRIVER)
    ask("stop deleted", "stop_application", **it)
    ask("start deleted", "start_application", **it)
    ask("get what was started", "get_application", **it)


def all_that_can_be_said_of_an_application(ask):
    made = ask("create in full", "create_application", name="full", clientToken="full-1", tags={"team": "data", "cost": "7"},
               initialCapacity=WORKERS, maximumCapacity={"cpu": "8 vCPU", "memory": "32 GB", "disk": "100 GB"},
               autoStartConfiguration={"enabled": True}, autoStopConfiguration={"enabled": False},
               networkConfiguration={"subnetIds": ["subnet-0a1b2c3d"], "securityGroupIds": ["sg-0a1b2c3d"]}, **SPARK)
    ask.settled(made["applicationId"])
    ask("get full", "get_application", applicationId=made["applicationId"])
    for letter in "abc":
        ask.settled(ask(f"create {letter}", "create_application", name=letter, **SPARK)["applicationId"])
    ask.pages("list of four", "list_applications", PaginationConfig={"PageSize": 3}, states=["CREATED", "STARTED"])
    ask("no such state", "list_applications", states=["STOPPED"])


def what_is_not_there_or_wrong(ask):
    for operation in ("get", "start", "stop", "update", "delete"):
        ask(f"{operation} unknown", f"{operation}_application", applicationId=UNKNOWN)
    ask("list job runs of unknown", "list_job_runs", applicationId=UNKNOWN)
    ask("start a job run of unknown", "start_job_run", applicationId=UNKNOWN, executionRoleArn=ROLE, jobDriver=DRIVER)
    ask("get a job run of unknown", "get_job_run", applicationId=UNKNOWN, jobRunId=UNKNOWN)
    ask("another engine", "create_application", releaseLabel="emr-7.6.0", type="FLINK")
    ask("Hive", "create_application", releaseLabel="emr-7.6.0", type="HIVE")
    ask("a label of nothing", "create_application", releaseLabel="latest", type="SPARK")
    ask("a worker of no size", "create_application", **SPARK, initialCapacity={"DRIVER": {
        "workerCount": 1, "workerConfiguration": {"cpu": "3 vCPU", "memory": "1 GB"}}})
    ask("a page token of nobody", "list_applications", nextToken="bm9ib2R5")


def a_job_runs_life(ask):
    of = {"applicationId": ask("create for job runs", "create_application", name="job-runs", **SPARK)["applicationId"]}
    ask.settled(of["applicationId"])
    ask("list none", "list_job_runs", **of)
    request = {**of, "executionRoleArn": ROLE, "jobDriver": DRIVER, "clientToken": "job-1"}
    job = ask("start a job run", "start_job_run", **request, name="nightly", tags={"team": "data"}, executionTimeoutMinutes=60,
              configurationOverrides={"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://data/logs/"}}})
    it = {**of, "jobRunId": job["jobRunId"]}
    ask.settled(*it.values())
    ask("get it", "get_job_run", **it)
    ask("list it", "list_job_runs", **of)
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    ask("list later ones", "list_job_runs", **of, createdAtAfter=now + hour)
    ask("list earlier ones", "list_job_runs", **of, createdAtBefore=now - 48 * hour)
    ask("cancel it", "cancel_job_run", **it)
    ask.settled(*it.values())
    ask("get it cancelled", "get_job_run", **it)
    ask("list the cancelled", "list_job_runs", **of, states=["CANCELLED"])
    ask("list the failed", "list_job_runs", **of, states=["FAILED"])
    ask("cancel it again", "cancel_job_run", **it)
    ask("get another", "get_job_run", **of, jobRunId=UNKNOWN)
    ask("cancel another", "cancel_job_run", **of, jobRunId=UNKNOWN)
    other = {**of, "executionRoleArn": ROLE, "jobDriver": DRIVER}
    ask("another account's role", "start_job_run", **other | {"executionRoleArn": "arn:aws:iam::210987654321:role/job"})
    ask("two minutes", "start_job_run", **other, executionTimeoutMinutes=2)
    ask("another request under its token", "start_job_run", **request, name="other")


SESSIONS = [all_that_can_be_said_of_an_application, what_is_not_there_or_wrong, a_job_runs_life, an_applications_life]
