"""Clients as people have them set up: retries in each of boto3's modes, the CLI's pages and its requests from files.

Against a coordinator without hosts: what is started waits, and no engine is needed.
"""

import json

import pytest
from lab import RELEASE, Coordinator, aws_of, client_of, served


@pytest.fixture(scope="module")
def coordinator():
    alone = Coordinator("clients", "[api_limits]\nGetApplication = { per_second = 2, burst = 1 }\n")
    alone.prepare()
    yield from served(alone)


@pytest.fixture(scope="module")
def emr(coordinator):
    return client_of(coordinator, "emr-serverless")


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_a_throttled_client_tries_again_until_it_is_let_in(mode, coordinator, emr):
    made = emr.create_application(name=mode, releaseLabel=RELEASE, type="SPARK")["applicationId"]
    patient = client_of(coordinator, "emr-serverless", retries={"mode": mode, "total_max_attempts": 12})
    answers = [patient.get_application(applicationId=made) for _ in range(3)]
    assert {answer["application"]["name"] for answer in answers} == {mode}
    assert sum(answer["ResponseMetadata"]["RetryAttempts"] for answer in answers) > 0, "nothing was throttled"


def test_the_cli_turns_pages_and_goes_on_where_it_stopped(coordinator, emr):
    names = {f"paged-{number}" for number in range(5)}
    for name in sorted(names):
        emr.create_application(name=name, releaseLabel=RELEASE, type="SPARK")
    aws = aws_of(coordinator)

    def listed(*words):
        answer = json.loads(aws("emr-serverless", "list-applications", *words).stdout)
        return [one["name"] for one in answer["applications"]], answer.get("NextToken")
    everything, token = listed("--page-size", "2")
    assert names <= set(everything) and token is None
    assert len(everything) == len(set(everything))
    first, token = listed("--page-size", "2", "--max-items", "3")
    assert first == everything[:3]
    rest, token = listed("--page-size", "2", "--starting-token", token)
    assert (first + rest, token) == (everything, None)


def test_the_cli_reads_requests_from_files(coordinator, tmp_path):
    aws = aws_of(coordinator)
    role = coordinator.settings()["HEARTH_ROLE_ARN"]

    def asked(operation, **request):
        (tmp_path / "request.json").write_text(json.dumps(request))
        return json.loads(aws("emr-serverless", operation, "--cli-input-json", f"file://{tmp_path}/request.json").stdout)
    made = asked("create-application", name="from-a-file", releaseLabel=RELEASE, type="SPARK", clientToken="file-1",
                 tags={"team": "data"}, maximumCapacity={"cpu": "8 vCPU", "memory": "32 GB"})
    job = asked("start-job-run", applicationId=made["applicationId"], clientToken="file-2", executionRoleArn=role,
                executionTimeoutMinutes=60, retryPolicy={"maxAttempts": 2}, mode="BATCH", tags={"team": "data"},
                jobDriver={"sparkSubmit": {"entryPoint": "s3://data/job.py", "entryPointArguments": ["a b", "ä"]}})
    shown = asked("get-job-run", applicationId=made["applicationId"], jobRunId=job["jobRunId"])["jobRun"]
    assert (shown["tags"], shown["executionTimeoutMinutes"]) == ({"team": "data"}, 60)
    assert shown["jobDriver"]["sparkSubmit"]["entryPointArguments"] == ["a b", "ä"]
