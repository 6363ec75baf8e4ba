"""The object gateway under real clients: boto3 and the AWS CLI.

Fixtures (conftest): `s3` is a boto3 client with the administrator's key and path-style addresses; `aws` runs the AWS
CLI with the same key (arguments in, completed process out; a failure raises unless `check=False`).
"""

import base64
import concurrent.futures
import datetime
import hashlib
import os
import urllib.error
import urllib.request
import uuid
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.client
import botocore.exceptions
import pytest

PART = 5 << 20
SPECIAL_KEYS = [
    "plain", "a+b", "100%", "%2F%2e", "../up", "a/../b", "a//b", "/lead", "trail/", "//", ".", "..", " space ", "q?x=1&y",
    "hash#tag", "quote'\"<>", "ünïcode/日本語", "emoji-😀", "tab\tkey", "semi;colon,comma", "~tilde!*()", "x" * 1024,
]


@pytest.fixture
def bucket(s3):
    name = f"objects-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        objects = [{"Key": item["Key"]} for item in page.get("Contents", [])]
        if objects:
            s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=name)


def code(excinfo):
    return excinfo.value.response["Error"]["Code"]


def status(excinfo):
    return excinfo.value.response["ResponseMetadata"]["HTTPStatusCode"]


def sibling(s3, **config):
    """A client with the same key and endpoint, configured otherwise."""
    keys = s3._request_signer._credentials.get_frozen_credentials()
    return boto3.client(
        "s3", endpoint_url=s3.meta.endpoint_url, region_name=s3.meta.region_name, aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key, aws_session_token=keys.token,
        config=botocore.client.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **config))


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, method=method, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


# Buckets

def test_buckets_come_and_go(s3):
    name = f"objects-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert name in [item["Name"] for item in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    s3.put_object(Bucket=name, Key="k", Body=b"v")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.delete_bucket(Bucket=name)
    assert code(error) == "BucketNotEmpty"
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.head_bucket(Bucket=name)
    assert status(error) == 404
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=name, Key="k", Body=b"v")
    assert code(error) == "NoSuchBucket"


# Objects

def test_every_key_is_exact(s3, bucket):
    for key in SPECIAL_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in SPECIAL_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode(), key
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(SPECIAL_KEYS, key=lambda key: key.encode())
    assert [item["Key"] for item in s3.list_objects(Bucket=bucket)["Contents"]] == listed
    for number, key in enumerate(SPECIAL_KEYS):
        s3.copy_object(Bucket=bucket, Key=f"copies/{number}", CopySource={"Bucket": bucket, "Key": key})
        assert s3.get_object(Bucket=bucket, Key=f"copies/{number}")["Body"].read() == key.encode(), key
    for key in SPECIAL_KEYS:
        s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == len(SPECIAL_KEYS)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="x" * 1025, Body=b"")
    assert code(error) == "KeyTooLongError"


def test_headers_come_back(s3, bucket):
    expires = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    kept = {
        "ContentType": "text/csv; charset=utf-8", "ContentEncoding": "gzip", "ContentLanguage": "de",
        "ContentDisposition": 'attachment; filename="a.csv"', "CacheControl": "max-age=60",
        "Metadata": {"colour": "blue", "empty": ""},
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc", Expires=expires, **kept)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", Expires=expires, **kept)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"abc")
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"})
    for key in "kmc":
        for answer in (s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key)):
            assert {name: answer[name] for name in kept} == kept, key
            assert answer["ExpiresString"] == "Mon, 03 Feb 2031 04:05:06 GMT"
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, MetadataDirective="REPLACE",
                   Metadata={"new": "1"}, ContentType="text/plain")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["Metadata"] == {"new": "1"} and head["ContentType"] == "text/plain" and "CacheControl" not in head
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"})
    assert code(error) == "InvalidRequest"
    overridden = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/html")
    assert overridden["ContentType"] == "text/html"


def test_etag_is_md5_and_ranges_are_exact(s3, bucket):
    body = os.urandom(1_500_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    for header, expected in [("bytes=0-0", body[:1]), ("bytes=700000-1400000", body[700000:1400001]),
                             ("bytes=-10", body[-10:]), ("bytes=1499990-9999999", body[-10:]), ("bytes=5-", body[5:])]:
        answer = s3.get_object(Bucket=bucket, Key="k", Range=header)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["Body"].read() == expected, header
    assert s3.head_object(Bucket=bucket, Key="k", Range="bytes=0-9")["ContentLength"] == 10
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=1500000-")
    assert code(error) == "InvalidRange" and status(error) == 416
    s3.put_object(Bucket=bucket, Key="empty/", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty/")["Body"].read() == b""


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed" and status(error) == 412
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"0"')
    assert status(error) == 412
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfMatch=etag)
    head = s3.head_object(Bucket=bucket, Key="k")
    for arguments in [{"IfNoneMatch": etag}, {"IfModifiedSince": head["LastModified"]}]:
        for operation in (s3.get_object, s3.head_object):
            with pytest.raises(botocore.exceptions.ClientError) as error:
                operation(Bucket=bucket, Key="k", **arguments)
            assert status(error) == 304
    earlier = head["LastModified"] - datetime.timedelta(hours=1)
    for arguments in [{"IfMatch": '"0"'}, {"IfUnmodifiedSince": earlier}]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.get_object(Bucket=bucket, Key="k", **arguments)
        assert status(error) == 412
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"}, CopySourceIfMatch='"0"')
    assert status(error) == 412
    for key, expected in [("absent", "NoSuchKey"), ("k", "PreconditionFailed")]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.delete_object(Bucket=bucket, Key=key, IfMatch='"0"')
        assert code(error) == expected


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_verified_and_given_back(s3, bucket, algorithm):
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt")
    s3 = sibling(s3)
    field = f"Checksum{algorithm}"
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm=algorithm)
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[field] == put[field]
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == b"hello"
    other = s3.put_object(Bucket=bucket, Key="other", Body=b"other", ChecksumAlgorithm=algorithm)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"bad", **{field: other[field]})
    assert code(error) == "BadDigest"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"bad", ContentMD5=base64.b64encode(b"0" * 16).decode())
    assert code(error) == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_unsigned_chunks_with_a_checksum_trailer(s3, bucket):
    """What SDKs send over https for a file body, made by hand: botocore does it only there."""
    keys = s3._request_signer._credentials.get_frozen_credentials()
    content = os.urandom(100_000)

    def put(checksum):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (content[:65536], content[65536:]))
        body = chunks + b"0\r\nx-amz-checksum-crc32:" + base64.b64encode(checksum) + b"\r\n\r\n"
        request = botocore.awsrequest.AWSRequest("PUT", f"{s3.meta.endpoint_url}/{bucket}/k", headers={
            "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Trailer": "x-amz-checksum-crc32",
            "X-Amz-Decoded-Content-Length": str(len(content)), "Content-Encoding": "aws-chunked"})
        botocore.auth.SigV4Auth(keys, "s3", s3.meta.region_name).add_auth(request)
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
        return fetch(request.url, "PUT", body, headers | {"Content-Type": "text/plain"})

    right = zlib.crc32(content).to_bytes(4, "big")
    assert put(right) == (200, b"")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == base64.b64encode(right).decode() and "ContentEncoding" not in head
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == content
    answer, body = put(b"\0" * 4)
    assert answer == 400 and b"BadDigest" in body


def test_an_upload_after_an_empty_or_refused_one_is_not_held_up(s3, bucket):
    """botocore waits for `100 Continue` and misreads a connection on which the answer came without it."""
    one = sibling(s3, max_pool_connections=1, read_timeout=5)
    for number in range(3):
        one.put_object(Bucket=bucket, Key="marker/", Body=b"")
        one.put_object(Bucket=bucket, Key="k", Body=b"body")
        with pytest.raises(botocore.exceptions.ClientError) as error:
            one.put_object(Bucket="no-such-bucket", Key="k", Body=b"body")
        assert code(error) == "NoSuchBucket"
        one.put_object(Bucket=bucket, Key="k", Body=b"body")


def test_batch_deletion_of_a_thousand(s3, bucket):
    keys = [f"many/{number:04}+%" for number in range(1000)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
    s3.put_object(Bucket=bucket, Key="left", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert [item["Key"] for item in answer["Deleted"]] == keys and "Errors" not in answer
    again = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": keys[0]}], "Quiet": True})
    assert "Deleted" not in again
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["left"]


# Listings

def test_listings_page_and_roll_up(s3, bucket):
    keys = sorted(f"{folder}/{number}" for folder in ("a", "b", "b+c", "d e") for number in range(5)) + ["top"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for operation in ("list_objects", "list_objects_v2"):
        pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}))
        assert len(pages) == 7
        assert [item["Key"] for page in pages for item in page.get("Contents", [])] == sorted(keys)
        pages = list(s3.get_paginator(operation).paginate(
            Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}))
        prefixes = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
        assert prefixes == ["a/", "b+c/", "b/", "d e/"]
        assert [item["Key"] for page in pages for item in page.get("Contents", [])] == ["top"]
    inside = s3.list_objects_v2(Bucket=bucket, Prefix="b+c/", Delimiter="/", StartAfter="b+c/2")
    assert [item["Key"] for item in inside["Contents"]] == ["b+c/3", "b+c/4"] and inside["KeyCount"] == 2
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="nonsense")
    assert code(error) == "InvalidArgument"


# Multipart uploads

def test_a_multipart_upload_of_64_mb(s3, bucket, tmp_path):
    path = tmp_path / "big"
    path.write_bytes(os.urandom(64 << 20))
    s3.upload_file(str(path), bucket, "big", Config=boto3.s3.transfer.TransferConfig(multipart_chunksize=8 << 20))
    head = s3.head_object(Bucket=bucket, Key="big")
    parts = [path.read_bytes()[start:start + (8 << 20)] for start in range(0, 64 << 20, 8 << 20)]
    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    assert head["ETag"] == f'"{digest}-8"' and head["ContentLength"] == 64 << 20
    s3.download_file(bucket, "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    second = s3.get_object(Bucket=bucket, Key="big", PartNumber=2)
    assert second["PartsCount"] == 8 and second["Body"].read() == parts[1]


def test_multipart_rules(s3, bucket):
    upload = {"Bucket": bucket, "Key": "m/k+%"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.put_object(Bucket=bucket, Key="source", Body=b"s" * (PART + 100))
    first = s3.upload_part_copy(**upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "source"},
                                CopySourceRange=f"bytes=100-{PART + 99}")["CopyPartResult"]
    small = s3.upload_part(**upload, PartNumber=2, Body=b"small")
    last = s3.upload_part(**upload, PartNumber=7, Body=b"last")
    assert [part["PartNumber"] for part in s3.list_parts(**upload)["Parts"]] == [1, 2, 7]
    page = s3.list_parts(**upload, MaxParts=2)
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 2
    page = s3.list_parts(**upload, PartNumberMarker=2)
    assert [part["Size"] for part in page["Parts"]] == [4]
    found = s3.list_multipart_uploads(Bucket=bucket, Prefix="m/")["Uploads"]
    assert [(item["Key"], item["UploadId"]) for item in found] == [(upload["Key"], upload["UploadId"])]

    def complete(*parts, **more):
        named = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named}, **more)

    one, two, seven = (1, first["ETag"]), (2, small["ETag"]), (7, last["ETag"])
    for parts, expected in [((seven, one), "InvalidPartOrder"), ((one, two, seven), "EntityTooSmall"),
                            ((one, (3, one[1])), "InvalidPart"), (((1, seven[1]),), "InvalidPart"), ((), "MalformedXML")]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            complete(*parts)
        assert code(error) == expected
    s3.put_object(Bucket=bucket, Key=upload["Key"], Body=b"there")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        complete(one, seven, IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    done = complete(one, seven)
    assert complete(one, seven)["ETag"] == done["ETag"]
    assert s3.get_object(Bucket=bucket, Key=upload["Key"])["Body"].read() == b"s" * PART + b"last"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_uploads_are_listed_in_pages_and_aborted(s3, bucket):
    keys = ["a/1", "a/2", "a/2", "b c", "d+"]
    ids = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in keys]
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    found = [(item["Key"], item["UploadId"]) for page in pages for item in page.get("Uploads", [])]
    assert found == list(zip(keys, ids))
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [item["Prefix"] for item in rolled["CommonPrefixes"]] == ["a/"]
    for key, upload in found:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.upload_part(Bucket=bucket, Key=keys[0], UploadId=ids[0], PartNumber=1, Body=b"late")
    assert code(error) == "NoSuchUpload"


# Signatures

@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(s3, bucket, version):
    client = sibling(s3, signature_version=version)
    for key in ("plain", "a b+c%/ü"):
        named = {"Bucket": bucket, "Key": key}
        put = client.generate_presigned_url("put_object", Params=named)
        assert ("AWSAccessKeyId" in put) == (version == "s3")
        assert fetch(put, "PUT", b"presigned", {"Content-Type": ""})[0] == 200
        assert fetch(client.generate_presigned_url("get_object", Params=named)) == (200, b"presigned")
        typed = client.generate_presigned_url("put_object", Params={**named, "ContentType": "text/csv"})
        assert fetch(typed, "PUT", b"typed", {"Content-Type": "text/csv"})[0] == 200
        assert s3.head_object(**named)["ContentType"] == "text/csv"
        url = client.generate_presigned_url("get_object", Params={**named, "ResponseContentType": "text/html"})
        assert fetch(url)[1] == b"typed"
        assert fetch(url.replace("%2Fhtml", "%2Fcsv"))[0] == 403
        expired = client.generate_presigned_url("get_object", Params=named, ExpiresIn=-1)
        answer, body = fetch(expired)
        assert answer in (400, 403) and (b"expired" in body or b"X-Amz-Expires" in body)


def test_the_default_presigned_url_works(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    assert fetch(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})) == (200, b"v")


def test_a_presigned_put_cannot_become_a_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    client = sibling(s3, signature_version="s3v4")
    url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "drop"})
    answer, body = fetch(url, "PUT", b"", {"x-amz-copy-source": f"/{bucket}/secret", "Content-Type": ""})
    assert answer == 403 and b"HeadersNotSigned" in body
    url = sibling(s3, signature_version="s3").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "drop"})
    answer, body = fetch(url, "PUT", b"", {"x-amz-copy-source": f"/{bucket}/secret", "Content-Type": ""})
    assert answer == 403 and b"SignatureDoesNotMatch" in body


def test_bad_signatures_are_refused(s3, bucket, monkeypatch):
    answer, body = fetch(f"{s3.meta.endpoint_url}/{bucket}")
    assert answer == 403 and b"<Code>AccessDenied</Code>" in body
    keys = s3._request_signer._credentials.get_frozen_credentials()
    for key, secret, expected in [(keys.access_key, "wrong", "SignatureDoesNotMatch"),
                                  ("AKIANOBODY", "wrong", "InvalidAccessKeyId")]:
        client = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name=s3.meta.region_name,
                              aws_access_key_id=key, aws_secret_access_key=secret)
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.list_buckets()
        assert code(error) == expected and status(error) == 403
    skewed = botocore.auth.get_current_datetime() - datetime.timedelta(minutes=20)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: skewed)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        sibling(s3).list_buckets()
    answer = error.value.response
    assert answer["Error"]["Code"] == "RequestTimeTooSkewed" and status(error) == 403
    assert answer["Error"]["RequestTime"] == skewed.strftime("%Y%m%dT%H%M%SZ")
    assert answer["Error"]["ServerTime"] and answer["Error"]["MaxAllowedSkewMilliseconds"] == "900000"


def test_what_the_store_lacks_is_said(s3, bucket):
    for arguments in [{"ServerSideEncryption": "AES256"}, {"Tagging": "a=b"}]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.put_object(Bucket=bucket, Key="k", Body=b"", **arguments)
        assert code(error) == "NotImplemented"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_bucket_policy(Bucket=bucket)
    assert code(error) == "NotImplemented"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_object(Bucket=bucket, Key="absent")
    assert code(error) == "NoSuchKey"


# The command line

def test_the_command_line(aws, s3, tmp_path):
    bucket = f"s3://objects-{uuid.uuid4().hex[:12]}"
    tree = tmp_path / "tree"
    names = ["top.txt", "sub/a b.txt", "sub/deep/ü+%.txt", "big.bin"]
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(os.urandom(20 << 20) if name == "big.bin" else name.encode())
    aws("s3", "mb", bucket)
    assert bucket.removeprefix("s3://") in aws("s3", "ls").stdout
    aws("s3", "cp", str(tree), f"{bucket}/tree", "--recursive")
    listed = aws("s3", "ls", f"{bucket}/tree/", "--recursive").stdout
    assert all(f"tree/{name}" in listed for name in names)
    assert "PRE sub/" in aws("s3", "ls", f"{bucket}/tree/").stdout
    aws("s3", "sync", f"{bucket}/tree", str(tmp_path / "back"))
    assert all((tmp_path / "back" / name).read_bytes() == (tree / name).read_bytes() for name in names)
    assert aws("s3", "sync", str(tree), f"{bucket}/tree").stdout.strip() == ""
    aws("s3", "cp", f"{bucket}/tree", f"{bucket}/copy", "--recursive")
    aws("s3", "mv", f"{bucket}/copy/top.txt", f"{bucket}/moved.txt")
    assert aws("s3", "cp", f"{bucket}/moved.txt", "-").stdout == "top.txt"
    aws("s3", "rm", f"{bucket}/tree", "--recursive")
    assert aws("s3", "ls", f"{bucket}/tree/", check=False).returncode == 1
    name = bucket.removeprefix("s3://")
    assert '"Key": "moved.txt"' in aws("s3api", "list-objects-v2", "--bucket", name).stdout
    aws("s3api", "head-object", "--bucket", name, "--key", "moved.txt")
    url = aws("s3", "presign", f"{bucket}/moved.txt").stdout.strip()
    assert fetch(url) == (200, b"top.txt")
    assert "BucketNotEmpty" in aws("s3", "rb", bucket, check=False).stderr
    aws("s3", "rb", bucket, "--force")
