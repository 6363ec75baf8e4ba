"""boto3 drives the whole life of an application and a job run, and makes presigned URLs as it does by default."""

import urllib.error
import urllib.request
import uuid

import pytest
from lab import JOB_DEADLINE, RELEASE, client_of, wait_for


def test_a_whole_life_cycle(jobs, emr):
    token = str(uuid.uuid4())
    request = dict(name="life", releaseLabel=RELEASE, type="SPARK", clientToken=token, tags={"team": "forge"},
                   maximumCapacity={"cpu": "8 vCPU", "memory": "32 GB"},
                   autoStopConfiguration={"enabled": True, "idleTimeoutMinutes": 5})
    made = emr.create_application(**request)
    application = made["applicationId"]
    assert made["arn"].endswith(f"/applications/{application}")
    # The same request under the same token is the same application; another one is a conflict (promise P2).
    assert emr.create_application(**request)["applicationId"] == application
    with pytest.raises(emr.exceptions.ConflictException):
        emr.create_application(**request | {"name": "other"})
    shown = emr.get_application(applicationId=application)["application"]
    assert shown["tags"] == {"team": "forge"}
    assert shown["maximumCapacity"]["cpu"] == "8 vCPU"
    assert shown["createdAt"].tzinfo is not None
    listed = emr.get_paginator("list_applications").paginate(PaginationConfig={"PageSize": 1}).build_full_result()
    assert application in [one["id"] for one in listed["applications"]]

    emr.start_application(applicationId=application)
    wait_for("STARTED", lambda: emr.get_application(applicationId=application)["application"]["state"] == "STARTED", 60)

    script = jobs.put("life.py", "import sys\nprint('alive', *sys.argv[1:])")
    start = dict(applicationId=application, executionRoleArn=jobs.role, clientToken=str(uuid.uuid4()), name="life",
                 jobDriver={"sparkSubmit": {"entryPoint": script, "entryPointArguments": ["and", "well"],
                            "sparkSubmitParameters": " ".join(f"--conf {k}={v}" for k, v in jobs.SMALL.items())}})
    job = emr.start_job_run(**start)["jobRunId"]
    assert emr.start_job_run(**start)["jobRunId"] == job
    wait_for("SUCCESS", lambda: emr.get_job_run(applicationId=application, jobRunId=job)["jobRun"]["state"] == "SUCCESS",
             JOB_DEADLINE)
    runs = emr.list_job_runs(applicationId=application, states=["SUCCESS"])["jobRuns"]
    assert [run["id"] for run in runs] == [job]
    assert emr.list_job_runs(applicationId=application, states=["FAILED"])["jobRuns"] == []

    # Tags of both, after the run ended too (guide:5735).
    for arn, before in ((made["arn"], {"team": "forge"}), (emr.get_job_run(applicationId=application, jobRunId=job)["jobRun"]["arn"], {})):
        emr.tag_resource(resourceArn=arn, tags={"cost": "7", "team": "anvil"})
        emr.untag_resource(resourceArn=arn, tagKeys=["cost", "absent"])
        assert emr.list_tags_for_resource(resourceArn=arn)["tags"] == before | {"team": "anvil"}
        with pytest.raises(emr.exceptions.ValidationException):
            emr.tag_resource(resourceArn=arn, tags={str(number): "" for number in range(50)})
    assert emr.get_application(applicationId=application)["application"]["tags"] == {"team": "anvil"}

    with pytest.raises(emr.exceptions.ClientError):
        emr.delete_application(applicationId=application)
    emr.stop_application(applicationId=application)
    wait_for("STOPPED", lambda: emr.get_application(applicationId=application)["application"]["state"] == "STOPPED", 60)
    emr.delete_application(applicationId=application)
    assert emr.get_application(applicationId=application)["application"]["state"] == "TERMINATED"


def test_a_job_without_a_log_uri_has_its_logs_in_managed_storage(jobs, hearth):
    job = jobs.run(jobs.put("managed.py", "print('kept by hearth')"), configurationOverrides={})["jobRunId"]
    assert hearth.run("logs", job).stdout == "kept by hearth\n"


def test_default_presigned_urls_are_accepted(jobs, s3, hearth):
    jobs.put("shared.txt", "for whoever has the link")
    # Signature version 2 in the query by default in us-east-1, version 4 when asked for.
    for client in (s3, client_of(hearth, "s3"), client_of(hearth, "s3", signature_version="s3v4")):
        url = client.generate_presigned_url(
            "get_object", Params={"Bucket": jobs.bucket, "Key": "given/shared.txt"}, ExpiresIn=60)
        assert urllib.request.urlopen(url, timeout=10).read() == b"for whoever has the link"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url.replace("shared.txt", "first.py"), timeout=10)
        assert refused.value.code == 403
