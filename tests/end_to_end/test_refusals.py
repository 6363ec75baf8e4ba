"""What is refused, and how it is said: signatures, clocks, requests, and entry points that do not exist."""

import datetime
import json
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


def fetch(url, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read()


def error_type(headers):
    return {name.lower(): value for name, value in headers.items()}.get("x-amzn-errortype", "").split(":")[0]


def signed_headers(hearth, url, at, service="emr-serverless"):
    """Headers of a request signed at another time than now."""
    given = hearth.settings()
    keys = botocore.credentials.Credentials(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
    request = botocore.awsrequest.AWSRequest("GET", url)
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer = botocore.auth.SigV4Auth(keys, service, given["AWS_DEFAULT_REGION"])
    # The signer's own clock is now; only the steps that it takes from the context are used.
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return dict(request.headers.items())


def test_an_unsigned_request_is_refused(endpoint):
    status, headers, body = fetch(f"{endpoint}/applications")
    assert status == 403
    assert error_type(headers) == "MissingAuthenticationTokenException", (headers, body)
    assert "message" in json.loads(body)
    status, _, body = fetch(f"{endpoint}/some-bucket/some-key")
    assert status == 403 and b"<Code>AccessDenied</Code>" in body, body


@pytest.mark.parametrize("service, operation, code", [
    ("emr-serverless", "list_applications", "InvalidSignatureException"),
    ("s3", "list_buckets", "SignatureDoesNotMatch"),
])
def test_a_wrong_signature_is_refused(hearth, service, operation, code):
    given = hearth.settings()
    client = boto3.client(service, endpoint_url=hearth.endpoint, region_name="us-east-1",
                          aws_access_key_id=given["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong" * 8,
                          config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("service, operation, code", [
    ("emr-serverless", "list_applications", "UnrecognizedClientException"),
    ("s3", "list_buckets", "InvalidAccessKeyId"),
])
def test_an_unknown_key_is_refused(hearth, service, operation, code):
    client = boto3.client(service, endpoint_url=hearth.endpoint, region_name="us-east-1",
                          aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x" * 40,
                          config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_skewed_clock_is_refused_with_both_times(hearth, endpoint, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    url = f"{endpoint}/applications"
    status, headers, body = fetch(url, signed_headers(hearth, url, at))
    assert status == 403, body
    assert error_type(headers) == "InvalidSignatureException", headers
    message = json.loads(body)["message"]
    assert at.strftime("%Y%m%dT%H%M%SZ") in message, message
    now = datetime.datetime.now(datetime.timezone.utc)
    assert now.strftime("%Y%m%dT%H") in message, message
    # The same request with the right time is answered, so it was the time that was refused.
    good = signed_headers(hearth, url, datetime.datetime.now(datetime.timezone.utc))
    assert fetch(url, good)[0] == 200


def test_what_does_not_exist_and_what_is_not_allowed_have_their_exceptions(emr, hearth):
    role = hearth.settings()["HEARTH_ROLE_ARN"]
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_application(applicationId="00f0000000000000")
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.start_job_run(applicationId="00f0000000000000", executionRoleArn=role,
                          jobDriver={"sparkSubmit": {"entryPoint": "s3://b/x.py"}})
    with pytest.raises(emr.exceptions.ValidationException) as refused:
        emr.create_application(releaseLabel="emr-0.0.1", type="SPARK")
    assert "emr-0.0.1" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("parameters, named", [
    ("--master yarn", "--master"), ("--deploy-mode cluster", "--deploy-mode"), ("--conf 'spark.x", "quot"),
    ("--conf spark.executor.memory=lots", "spark.executor.memory"),
])
def test_parameters_that_cannot_work_are_refused_before_anything_runs(jobs, emr, parameters, named):
    with pytest.raises(emr.exceptions.ValidationException) as refused:
        jobs.start("s3://nowhere/x.py", parameters=parameters)
    assert named in refused.value.response["Error"]["Message"], refused.value.response


def test_a_missing_entry_point_fails_clearly_and_ships_its_logs(jobs):
    missing = f"s3://{jobs.bucket}/given/is-not-there.py"
    run = jobs.run(missing, expect="FAILED")
    assert missing in run["stateDetails"] or "is-not-there.py" in run["stateDetails"], run["stateDetails"]
    keys = jobs.keys(jobs.log_prefix(run["jobRunId"]))
    assert f"{jobs.log_prefix(run['jobRunId'])}SPARK_DRIVER/stderr.gz" in keys, keys
    assert "is-not-there.py" in jobs.log(run["jobRunId"], "stderr")


def test_a_script_that_raises_fails_with_its_own_words(jobs):
    run = jobs.run(jobs.put("raises.py", "raise ValueError('no such customer: 17')"), expect="FAILED")
    assert "no such customer: 17" in run["stateDetails"], run["stateDetails"]
