"""The endpoint within TLS, under a certificate of hearth's own authority, to clients as they come."""

import io
import json
import os
import re
import socket
import ssl
import subprocess
import urllib.request
from collections import Counter

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import SSLError
from lab import BUNDLE_DEADLINE, HEARTH, RELEASE, Hearth, Jobs, aws_of, client_of, served

BUCKET = "within-tls"
MIB = 1 << 20
WORD_COUNT = "s3://us-east-1.elasticmapreduce/emr-containers/samples/wordcount"


@pytest.fixture(scope="module")
def secure():
    yield from served(Hearth("tls", scheme="https", options=["--tls"]))


@pytest.fixture(scope="module")
def store(secure):
    client = client_of(secure, "s3", s3={"addressing_style": "path"})
    client.create_bucket(Bucket=BUCKET)
    return client


def content(size):
    return (os.urandom(64 * 1024) * (size // (64 * 1024) + 1))[:size]


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("size", [0, 1, 65_537, 9 * MIB])
def test_objects_arrive_as_they_were_sent(store, size):
    """Over https boto3 sends a body in unsigned chunks with its checksum behind them (STREAMING-UNSIGNED-PAYLOAD-TRAILER)."""
    sent, seen = content(size), []
    store.meta.events.register_first("before-send.s3", lambda request, **_: seen.append(request.headers))
    try:
        store.put_object(Bucket=BUCKET, Key=f"put/{size}", Body=io.BytesIO(sent))
    finally:
        store.meta.events.unregister("before-send.s3")
    assert seen[0]["x-amz-content-sha256"] == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    got = store.get_object(Bucket=BUCKET, Key=f"put/{size}")
    assert got["ContentLength"] == size
    assert got["Body"].read() == sent
    listed = store.list_objects_v2(Bucket=BUCKET, Prefix="put/")["Contents"]
    assert size in [item["Size"] for item in listed]


def test_a_file_object_is_uploaded_in_parts(store):
    sent = content(9 * MIB)
    store.upload_fileobj(io.BytesIO(sent), BUCKET, "parts", Config=TransferConfig(multipart_threshold=5 * MIB,
                                                                                multipart_chunksize=5 * MIB))
    assert store.head_object(Bucket=BUCKET, Key="parts")["ETag"].endswith('-2"')
    got = io.BytesIO()
    store.download_fileobj(BUCKET, "parts", got, Config=TransferConfig(multipart_threshold=5 * MIB))
    assert got.getvalue() == sent


def test_the_aws_cli_copies_both_ways(secure, store, tmp_path):
    aws, sent, got = aws_of(secure), tmp_path / "sent", tmp_path / "got"
    for size in [0, 9 * MIB]:
        sent.write_bytes(content(size))
        aws("s3", "cp", sent, f"s3://{BUCKET}/cli/{size}")
        aws("s3", "cp", f"s3://{BUCKET}/cli/{size}", got)
        assert got.read_bytes() == sent.read_bytes()


@pytest.mark.parametrize("signature", [None, "s3v4"])
def test_presigned_urls_work(secure, store, signature):
    store.put_object(Bucket=BUCKET, Key="shared", Body=b"for whoever has the link")
    signer = client_of(secure, "s3", s3={"addressing_style": "path"}, signature_version=signature)
    url = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "shared"})
    assert url.startswith(f"https://127.0.0.1:{secure.port}/")
    with urllib.request.urlopen(url, context=secure.trust(), timeout=30) as answer:
        assert answer.read() == b"for whoever has the link"


def test_a_client_that_does_not_trust_the_authority_stays_away(secure):
    given = secure.settings()
    doubtful = boto3.client(
        "s3", endpoint_url=secure.endpoint, region_name="us-east-1", aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"], config=Config(retries={"total_max_attempts": 1}, proxies={}))
    with pytest.raises(SSLError):
        doubtful.list_buckets()
    told = secure.run("status", check=False, env=secure.environment() | {"AWS_CA_BUNDLE": ""})
    assert told.returncode == 3
    assert "export AWS_CA_BUNDLE" in told.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_either_version_of_tls_is_spoken_under_each_of_the_hosts_names(secure, version):
    context = secure.trust()
    context.minimum_version = context.maximum_version = version
    for name in ["127.0.0.1", "localhost", socket.gethostname()]:
        with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname=name) as wrapped:
                wrapped.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert wrapped.recv(64).startswith(b"HTTP/1.1 200 ")


def test_policies_see_that_a_request_came_within_tls(secure):
    """A role that may do what comes within TLS, and nothing else."""
    iam = client_of(secure, "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    role = iam.create_role(RoleName="within-tls", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="within-tls", PolicyName="within-tls", PolicyDocument=policy(allowed))
    session = client_of(secure, "sts").assume_role(RoleArn=role, RoleSessionName="tls")["Credentials"]
    client = boto3.client(
        "s3", endpoint_url=secure.endpoint, region_name="us-east-1", verify=secure.ca_bundle,
        aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"], config=Config(retries={"total_max_attempts": 1}, proxies={}))
    assert client.list_objects_v2(Bucket=secure.settings()["HEARTH_BUCKET"])["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_plain_http_is_told_to_speak_tls(secure):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{secure.port}/healthz", timeout=30)
    assert refused.value.code == 400
    assert b"https://" in refused.value.read()


def test_other_machines_are_not_served_in_plain(secure):
    """Refused before anything is started; with --tls the same address would be served."""
    refused = subprocess.run([HEARTH, "up", "--data-dir", secure.home / "other", "--listen", "0.0.0.0:0"],
                             text=True, capture_output=True, timeout=60)
    assert refused.returncode == 1
    assert "--tls" in refused.stderr


def test_a_job_runs_and_its_logs_arrive(secure, store):
    """Workers reach the endpoint through their host's agent, which speaks TLS for them; logs go the same way."""
    emr = client_of(secure, "emr-serverless")
    application = emr.create_application(name="tls", releaseLabel=RELEASE, type="SPARK")["applicationId"]
    jobs = Jobs(emr, store, application, secure.settings()["HEARTH_ROLE_ARN"], BUCKET)
    job = jobs.run(f"{WORD_COUNT}/scripts/wordcount.py", f"s3://{BUCKET}/counted", deadline=BUNDLE_DEADLINE)["jobRunId"]
    assert jobs.keys("counted/_SUCCESS")
    counted = Counter()
    for key in jobs.keys("counted/part-"):
        for line in jobs.text(key).splitlines():
            word, count = re.fullmatch(r"(.*),(\d+)", line).groups()
            counted[word] += int(count)
    assert sum(counted.values()) > 100
    names = {key.removeprefix(jobs.log_prefix(job)) for key in jobs.keys(jobs.log_prefix(job))}
    assert {"SPARK_DRIVER/stderr.gz", "SPARK_EXECUTOR/1/stderr.gz"} <= names
    assert any(name.startswith("sparklogs/") for name in names)
    assert "word counts of" in jobs.log(job)
    # The command line trusts what DIR/env says, by either way to it.
    assert job in secure.run("list").stdout
    assert job in secure.run("--data-dir", secure.data_dir, "list").stdout
