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
    Difference(("jobRun.billedResourceUtilization.vCPUHour", "jobRun.billedResourceUtilization.memoryGBHour",
                "jobRun.billedResourceUtilization.storageGBHour"), JOB_RUN, 0.0, ABSENT, "hearth does not add up what was used yet"),
    exception("cancel it again", NONE, "ValidationException", "what has ended cannot be cancelled"),
    exception("another account's role", "AccessDeniedException", "ValidationException",
              "hearth has one account, so that such an ARN is a mistake and no lack of permission"),
    exception("two minutes", "ValidationException", NONE, "the model's least is none; the service's of five minutes serves nobody here"),
    exception("another request under its token", NONE, "ConflictException", "moto does not look at client tokens"),
]
