"""Where hearth answers otherwise than moto's server in the sessions, and why: all of it, and nothing else."""

from dataclasses import dataclass

ABSENT = "not there"
ANY = "whatever the step"
NONE = "none: it is answered"


@dataclass(frozen=True)
class Difference:
    """At each of these paths, in each of these steps; `[]` stands for any place in a list."""

    paths: tuple
    steps: tuple | str
    moto: object
    hearth: object
    reason: str


UNKNOWN = ("get unknown", "start unknown", "stop unknown", "update unknown", "delete unknown", "list job runs of unknown",
           "start a job run of unknown", "get a job run of unknown", "get another", "cancel another")
JOB_RUN = ("get it", "get it cancelled")
JOB_RUNS = ("list it", "list the cancelled")


def exception(step, moto, hearth, reason):
    return Difference(("exception",), (step,), moto, hearth, reason)


def of_job_runs(member, moto, hearth, reason):
    """A member of GetJobRun's answer and of ListJobRuns'."""
    return [Difference((f"jobRun.{member}",), JOB_RUN, moto, hearth, reason),
            Difference((f"jobRuns[].{member}",), JOB_RUNS, moto, hearth, reason)]


def of_document(one, *several):
    """What stands in a policy's document, by path: of one with one action, and one with several."""
    return [("Statement[].Action", one), *(("Statement[].Action[]", action) for action in several),
            ("Statement[].Effect", "Allow"), ("Statement[].Resource", "*"), ("Version", "2012-10-17")]


DIFFERENCES = [
    # Applications
    Difference(("application.architecture", "applications[].architecture", "items[].architecture"), ANY, ABSENT, "X86_64",
               "moto does not show the default"),
    Difference(("application.state",), ("get new", "get full"), "STARTED", "CREATED", "moto starts what is created"),
    Difference(("items[].state",), ("list of four",), "STARTED", "CREATED", "moto starts what is created"),
    Difference(("application.autoStopConfiguration.idleTimeoutMinutes",), ("get full",), ABSENT, 15,
               "moto does not show the default beside what was given"),
    exception("update started", "ValidationException", NONE, "hearth allows it where no job run is touched, unless `strict_updates` is on"),
    Difference(("application.autoStopConfiguration.idleTimeoutMinutes",), ("get stopped",), 15, 5, "so hearth's was updated"),
    exception("delete again", "ValidationException", "ResourceNotFoundException",
              "what is deleted can be looked at, and is not there for anything else"),
    exception("start a job run of deleted", "ValidationException", "ResourceNotFoundException", "the same"),
    Difference(("status",), ("delete again", "start a job run of deleted"), 400, 404, "the same"),
    exception("stop deleted", NONE, "ResourceNotFoundException", "moto takes what is deleted back into service"),
    exception("start deleted", NONE, "ResourceNotFoundException", "moto takes what is deleted back into service"),
    Difference(("application.state",), ("get what was started",), "STARTED", "TERMINATED", "moto takes what is deleted back into service"),
    # Refusals
    Difference(("status",), UNKNOWN, 400, 404, "the model gives ResourceNotFoundException the status 404"),
    exception("Hive", NONE, "ValidationException", "hearth has no Hive yet, and says so before a job run would"),
    exception("a worker of no size", NONE, "ValidationException", "moto does not look at the sizes of workers"),
    exception("a page token of nobody", "InvalidToken", "ValidationException", "the model has no other exception for it"),
    # Job runs
    exception("list none", "ResourceNotFoundException", NONE, "moto knows of no application before its first job run"),
    Difference(("jobRun.state",), ("get it",), "SUCCESS", "PENDING", "moto's job runs succeed at once; hearth's wait for a host"),
    Difference(("jobRuns[].state",), ("list it",), "SUCCESS", "PENDING", "moto's job runs succeed at once; hearth's wait for a host"),
    *of_job_runs("stateDetails", ABSENT, "a text", "hearth always says why"),
    *of_job_runs("attempt", ABSENT, 1, "moto does not know of attempts"),
    *of_job_runs("attemptCreatedAt", ABSENT, "a time", "moto does not know of attempts"),
    *of_job_runs("attemptUpdatedAt", ABSENT, "a time", "moto does not know of attempts"),
    *of_job_runs("mode", ABSENT, "BATCH", "moto does not know of modes"),
    *of_job_runs("createdBy", ABSENT, "arn:aws:iam::123456789012:user/admin", "moto does not ask who it is"),
    Difference(("jobRun.endedAt",), ("get it cancelled",), ABSENT, "a time", "moto does not note it"),
    Difference(("jobRuns[].type",), JOB_RUNS, "Spark", "SPARK", "a job run's type is no application's in the model; hearth writes it as its kinds of workers"),
    Difference(("jobRun.totalExecutionDurationSeconds",), JOB_RUN, 0, ABSENT, "hearth's never ran"),
    Difference(("jobRun.totalResourceUtilization.vCPUHour", "jobRun.totalResourceUtilization.memoryGBHour",
                "jobRun.totalResourceUtilization.storageGBHour"), JOB_RUN, ABSENT, 0.0, "moto shows what is billed alone"),
    exception("cancel it again", NONE, "ValidationException", "what has ended cannot be cancelled"),
    Difference(("status",), ("another account's role",), 400, 403, "as every other lack of permission"),
    exception("two minutes", "ValidationException", NONE, "the model's least is none; the service's of five minutes serves nobody here"),
    exception("another request under its token", NONE, "ConflictException", "moto does not look at client tokens"),
    # Users
    Difference(("IsTruncated",), ("list keys", "list role's profiles", "list versions"), ABSENT, False, "moto leaves it out where it is the only page"),
    # Roles
    Difference(("Role.RoleLastUsed",), ("create role", "get role", "get updated role", "create reader"), "empty", ABSENT,
               "hearth does not note when a role was used last"),
    exception("create role of no trust", NONE, "MalformedPolicyDocument", "moto does not read trust policies"),
    # Managed policies
    Difference(("Policy.Description",), ("create policy",), ABSENT, "looks", "moto shows it later alone"),
    Difference(("Policy.PermissionsBoundaryUsageCount",), ("create policy", "get policy"), ABSENT, 0, "moto does not count it"),
    Difference(("Policy.Tags",), ("get policy",), "empty", ABSENT, "hearth leaves out what there is none of"),
    *(Difference((f"PolicyVersion.Document.{path}",), ("create version",), value, ABSENT, "the model shows documents in GetPolicyVersion alone")
      for path, value in of_document("emr-serverless:StartJobRun")),
    *(Difference((f"Versions[].Document.{path}",), ("list versions",), value, ABSENT, "the model shows documents in GetPolicyVersion alone")
      for path, value in of_document("emr-serverless:StartJobRun", "emr-serverless:Get*", "emr-serverless:List*")),
    *(Difference((f"Versions[].{path}",), ("list versions",), moto, hearth, "the newest is first")
      for path, moto, hearth in (("VersionId", "v1", "v2"), ("VersionId", "v2", "v1"),
                                 ("IsDefaultVersion", False, True), ("IsDefaultVersion", True, False))),
    exception("delete attached policy", NONE, "DeleteConflict", "moto deletes what is attached"),
    exception("detach policy", "NoSuchEntity", NONE, "so it is there no more"),
    exception("delete policy", "NoSuchEntity", NONE, "so it is there no more"),
    exception("delete reader", "DeleteConflict", NONE, "and hangs on the role for ever"),
]
