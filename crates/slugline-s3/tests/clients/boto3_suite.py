"""What boto3 does with an S3 server. Run against this project's and against others'."""

import concurrent.futures
import datetime
import hashlib
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["S3_ENDPOINT_URL"]
BUCKET = os.environ["S3_BUCKET"]
OTHER = os.environ.get("S3_OTHER_BUCKET")
# What other servers do otherwise, for reasons of their own.
OURS = os.environ.get("S3_SERVER", "slugline") == "slugline"


def client(**options):
    config = Config(retries={"max_attempts": 1}, max_pool_connections=32, **options.pop("config", {}))
    return boto3.client("s3", endpoint_url=ENDPOINT, config=config, **options)


s3 = client()


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        allowed = code if isinstance(code, tuple) else (code,)
        assert found in allowed, f"{found} is not {code}: {error}"
        return error.response
    raise AssertionError(f"{call} was not refused with {code}")


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def body(key, **named):
    return s3.get_object(Bucket=BUCKET, Key=key, **named)["Body"].read()


def put_and_get():
    for size in [0, 1, 64 * 1024, 64 * 1024 + 1, 256 * 1024, 1024 * 1024 + 7]:
        content = os.urandom(size)
        put = s3.put_object(Bucket=BUCKET, Key=f"sizes/{size}", Body=content)
        assert put["ETag"].strip('"') == hashlib.md5(content).hexdigest()
        assert body(f"sizes/{size}") == content
    s3.put_object(
        Bucket=BUCKET,
        Key="described",
        Body=b"x",
        ContentType="image/png",
        ContentEncoding="gzip",
        ContentDisposition='attachment; filename="x.png"',
        CacheControl="max-age=60",
        Metadata={"of": "a book"},
    )
    head = s3.head_object(Bucket=BUCKET, Key="described")
    assert head["ContentType"] == "image/png", head
    assert head["ContentEncoding"] == "gzip", head
    assert head["ContentDisposition"] == 'attachment; filename="x.png"', head
    assert head["CacheControl"] == "max-age=60", head
    assert head["Metadata"] == {"of": "a book"}, head
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="none")
    refused("404", s3.head_object, Bucket=BUCKET, Key="none")
    s3.head_bucket(Bucket=BUCKET)


def odd_keys():
    keys = ["a", "a/b", "a/b/c", "../../etc/passwd", "a//b", "/lead", "./x", "trail/", "k" * 1024]
    keys += ["ü/日本/\U0001f600", "a+b c&d=e?f#g%h", "%2e%2e%2f", "~'()*!$,;:@", "..", "new\nline"]
    if not OURS:
        # Its own frontend does not take these.
        keys = [key for key in keys if key not in ("..",)]
    for key in keys:
        content = key.encode()
        s3.put_object(Bucket=BUCKET, Key="odd/" + key if len(key) < 1000 else key, Body=content)
    for key in keys:
        assert body("odd/" + key if len(key) < 1000 else key) == key.encode(), key
    listed = set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="odd/"):
        listed |= {entry["Key"] for entry in page["Contents"]}
    assert listed == {"odd/" + key for key in keys if len(key) < 1000}, listed
    refused("KeyTooLongError" if OURS else ("KeyTooLongError", "InvalidObjectName"),
            s3.put_object, Bucket=BUCKET, Key="k" * 1025, Body=b"")


def ranges_and_conditions():
    s3.put_object(Bucket=BUCKET, Key="range", Body=b"0123456789")
    part = s3.get_object(Bucket=BUCKET, Key="range", Range="bytes=2-4")
    assert part["Body"].read() == b"234" and part["ContentRange"] == "bytes 2-4/10"
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert body("range", Range="bytes=-3") == b"789"
    assert body("range", Range="bytes=8-") == b"89"
    refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="range", Range="bytes=10-")
    tag = s3.head_object(Bucket=BUCKET, Key="range")["ETag"]
    assert body("range", IfMatch=tag) == b"0123456789"
    refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="range", IfMatch='"x"')
    refused("304", s3.get_object, Bucket=BUCKET, Key="range", IfNoneMatch=tag)
    now = datetime.datetime.now(datetime.timezone.utc)
    refused("304", s3.get_object, Bucket=BUCKET, Key="range", IfModifiedSince=now)
    if OURS:
        refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="range", IfNoneMatch="*")
        refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="range", IfMatch='"x"')
        s3.put_object(Bucket=BUCKET, Key="range", Body=b"new", IfMatch=tag)
        s3.put_object(Bucket=BUCKET, Key="fresh", Body=b"new", IfNoneMatch="*")
        assert body("range") == b"new"


def copies():
    s3.put_object(Bucket=BUCKET, Key="from", Body=b"book" * 100_000, ContentType="text/plain")
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource={"Bucket": BUCKET, "Key": "from"})
    assert s3.head_object(Bucket=BUCKET, Key="to")["ContentType"] == "text/plain"
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource={"Bucket": BUCKET, "Key": "to"},
                   MetadataDirective="REPLACE", ContentType="image/gif", Metadata={"a": "b"})
    head = s3.head_object(Bucket=BUCKET, Key="to")
    assert head["ContentType"] == "image/gif" and head["Metadata"] == {"a": "b"}
    s3.delete_object(Bucket=BUCKET, Key="from")
    assert body("to") == b"book" * 100_000
    refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="to",
            CopySource={"Bucket": BUCKET, "Key": "to"})
    refused("NoSuchKey", s3.copy_object, Bucket=BUCKET, Key="to",
            CopySource={"Bucket": BUCKET, "Key": "none"})


def multipart():
    content = os.urandom(1024 * 1024) * 200
    with open("/dev/shm/s3-suite" if os.path.isdir("/dev/shm") else "s3-suite", "wb+") as file:
        os.unlink(file.name)
        file.write(content)
        file.seek(0)
        transfer = TransferConfig(multipart_chunksize=8 * 1024 * 1024, max_concurrency=4)
        s3.upload_fileobj(file, BUCKET, "large", Config=transfer)
    head = s3.head_object(Bucket=BUCKET, Key="large")
    assert head["ContentLength"] == len(content) and head["ETag"].endswith('-25"'), head
    digest = hashlib.sha256()
    stream = s3.get_object(Bucket=BUCKET, Key="large")["Body"]
    for chunk in stream.iter_chunks(1024 * 1024):
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(content).digest()
    edge = 8 * 1024 * 1024
    assert body("large", Range=f"bytes={edge - 5}-{edge + 4}") == content[edge - 5:edge + 5]
    if OURS:
        part = s3.get_object(Bucket=BUCKET, Key="large", PartNumber=25)
        assert part["PartsCount"] == 25 and part["Body"].read() == content[24 * edge:]

    def begin(key, **named):
        return s3.create_multipart_upload(Bucket=BUCKET, Key=key, **named)["UploadId"]

    upload = begin("copied")
    source = {"Bucket": BUCKET, "Key": "large"}
    parts = []
    for number, ends in [(1, (0, 6 * 1024 * 1024 - 1)), (2, (100, 200))]:
        copied = s3.upload_part_copy(
            Bucket=BUCKET, Key="copied", UploadId=upload, PartNumber=number, CopySource=source,
            CopySourceRange="bytes=%d-%d" % ends)
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(Bucket=BUCKET, Key="copied", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    assert body("copied") == content[:6 * 1024 * 1024] + content[100:201]
    refused("NoSuchUpload", s3.upload_part, Bucket=BUCKET, Key="copied", UploadId=upload,
            PartNumber=1, Body=b"")

    upload = begin("bad")
    named = {"Bucket": BUCKET, "Key": "bad", "UploadId": upload}
    first = s3.upload_part(PartNumber=1, Body=b"small", **named)["ETag"]
    second = s3.upload_part(PartNumber=2, Body=b"small", **named)["ETag"]
    if OURS:
        refused("InvalidArgument", s3.upload_part, PartNumber=10_001, Body=b"x", **named)
    listed = s3.list_parts(**named)["Parts"]
    assert [part["PartNumber"] for part in listed] == [1, 2]
    uploads = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [one["UploadId"] for one in uploads] == [upload], uploads

    def complete(*parts):
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in parts]
        return {"MultipartUpload": {"Parts": parts}, **named}

    finish = s3.complete_multipart_upload
    refused("EntityTooSmall", finish, **complete((1, first), (2, second)))
    refused("InvalidPart", finish, **complete((1, '"%s"' % ("0" * 32))))
    refused("InvalidPart", finish, **complete((3, first)))
    if OURS:
        # Others look at the parts' sizes, or for the parts, first.
        refused("InvalidPartOrder", finish, **complete((2, second), (1, first)))
        refused("MalformedXML", finish, **complete(*[(n + 1, first) for n in range(10_001)]))
    s3.abort_multipart_upload(**named)
    refused("NoSuchUpload" if OURS else ("NoSuchUpload", "NoSuchKey"), s3.list_parts, **named)
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="bad")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def checksums():
    content = b"checked" * 50_000
    for algorithm in ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"]:
        if algorithm in ("CRC32C", "CRC64NVME"):
            try:
                import awscrt  # noqa: F401
            except ImportError:
                continue
        put = s3.put_object(Bucket=BUCKET, Key="sum", Body=content, ChecksumAlgorithm=algorithm)
        if OURS:
            got = s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
            assert got["Checksum" + algorithm] == put["Checksum" + algorithm]
            assert got["Body"].read() == content
    if OURS:
        # Ceph's does not look at these yet.
        refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="wrong", Body=b"x",
                ChecksumSHA256="A" * 43 + "=")
    refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="wrong", Body=b"x",
            ContentMD5="A" * 22 + "==")
    refused("InvalidDigest", s3.put_object, Bucket=BUCKET, Key="wrong", Body=b"x", ContentMD5="x")
    # What comes is not what was signed for.
    signing = client(config={"request_checksum_calculation": "when_required"})
    signing.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: setattr(request, "body", b"y"))
    refused("XAmzContentSHA256Mismatch", signing.put_object, Bucket=BUCKET, Key="wrong", Body=b"x")
    refused("404", s3.head_object, Bucket=BUCKET, Key="wrong")


def listing():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        keys = [f"list/{n % 10}/{n:05}" for n in range(10_000)]
        list(pool.map(lambda key: s3.put_object(Bucket=BUCKET, Key=key, Body=b"."), keys))
    for version in ["list_objects_v2", "list_objects"]:
        pages = s3.get_paginator(version).paginate(Bucket=BUCKET, Prefix="list/")
        found = [entry["Key"] for page in pages for entry in page["Contents"]]
        assert found == sorted(keys), len(found)
        pages = s3.get_paginator(version).paginate(
            Bucket=BUCKET, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 3})
        found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
        assert found == [f"list/{n}/" for n in range(10)], found
    after = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/9/09989")
    assert [entry["Key"] for entry in after["Contents"]] == ["list/9/09999"]
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="nothing")["KeyCount"] == 0
    for start in range(0, 10_000, 1000):
        gone = [{"Key": key} for key in keys[start:start + 1000]]
        answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": gone})
        assert len(answer["Deleted"]) == 1000 and "Errors" not in answer
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["KeyCount"] == 0


def tags():
    s3.put_object(Bucket=BUCKET, Key="tagged", Body=b"", Tagging="kind=cover&of=a%20book")
    expected = [{"Key": "kind", "Value": "cover"}, {"Key": "of", "Value": "a book"}]
    named = {"Bucket": BUCKET, "Key": "tagged"}
    found = s3.get_object_tagging(**named)["TagSet"]
    assert sorted(found, key=lambda tag: tag["Key"]) == expected, found
    s3.put_object_tagging(Tagging={"TagSet": [{"Key": "new", "Value": ""}]}, **named)
    assert s3.get_object_tagging(**named)["TagSet"] == [{"Key": "new", "Value": ""}]
    s3.delete_object_tagging(**named)
    assert s3.get_object_tagging(**named)["TagSet"] == []


def presigned(signature="s3v4"):
    sign = client(config={"signature_version": signature}).generate_presigned_url
    named = {"Bucket": BUCKET, "Key": "signed/ü b"}
    url = sign("put_object", Params={"ContentType": "text/plain", **named}, ExpiresIn=60)
    status, text, _ = fetch(url, "PUT", b"by a link", {"Content-Type": "text/plain"})
    assert status == 200, text
    url = sign("get_object", Params={"ResponseContentDisposition": "attachment", **named})
    status, content, headers = fetch(url)
    assert (status, content) == (200, b"by a link")
    assert headers["Content-Disposition"] == "attachment"
    assert fetch(url.replace("signed", "sogned"))[0] == 403
    assert fetch(url.split("?")[0])[0] == 403
    status, text, _ = fetch(url, "DELETE")
    assert status == 403, text
    old = sign("get_object", Params=named, ExpiresIn=1)
    time.sleep(2.1)
    status, text, _ = fetch(old)
    assert status == 403 and b"AccessDenied" in text, text
    assert not OURS or b"expired" in text.lower(), text


def presigned_in_the_older_way():
    presigned("s3")


def form_posts_in_the_older_way():
    form_posts("s3")


def form_posts(signature="s3v4"):
    signing = client(config={"signature_version": signature})
    post = signing.generate_presigned_post(
        BUCKET, "forms/${filename}", Fields={"Content-Type": "image/png"},
        Conditions=[{"Content-Type": "image/png"}, ["content-length-range", 1, 100]])

    def send(content, **changed):
        fields = {**post["fields"], **changed}
        boundary = "x" * 30
        lines = []
        for name, value in fields.items():
            lines.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}')
        lines.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
                     f'filename="a.png"\r\nContent-Type: image/png\r\n\r\n')
        data = "\r\n".join(lines).encode() + content + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return fetch(post["url"], "POST", data, kind)

    status, text, _ = send(b"picture")
    assert status == 204, text
    found = s3.get_object(Bucket=BUCKET, Key="forms/a.png")
    assert found["Body"].read() == b"picture" and found["ContentType"] == "image/png"
    assert send(b"x" * 101)[0] == 400
    status, text, _ = send(b"picture", key="elsewhere/x.png")
    assert status in (400, 403), (status, text)
    field = "x-amz-signature" if signature == "s3v4" else "signature"
    status, text, _ = send(b"picture", **{field: "0" * 64})
    assert status == 403, (status, text)


def links():
    """For a browser, which uses them later."""
    named = {"Bucket": BUCKET, "Key": "links/ü b"}
    s3.put_object(Body=b"a picture", **named)
    sign = client(config={"signature_version": "s3v4"}).generate_presigned_url
    get = sign("get_object", Params=named)
    with open("links", "w") as file:
        print("put", sign("put_object", Params=named), file=file)
        print("get", get, file=file)
        print("plain", get.split("?")[0], file=file)
        print("expired", sign("get_object", Params=named, ExpiresIn=1), file=file)


def cross_origin():
    before = s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"]
    rules = [{"AllowedOrigins": ["http://owl.localhost"], "AllowedMethods": ["PUT", "GET"],
              "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": rules})
    found = s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"][0]
    assert found["AllowedOrigins"] == ["http://owl.localhost"]
    ask = {"Origin": "http://owl.localhost", "Access-Control-Request-Method": "PUT",
           "Access-Control-Request-Headers": "content-type"}
    url = f"{ENDPOINT}/{BUCKET}/described"
    status, _, headers = fetch(url, "OPTIONS", headers=ask)
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "http://owl.localhost"
    assert fetch(url, "OPTIONS", headers={**ask, "Origin": "http://evil"})[0] == 403
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "described"})
    _, _, headers = fetch(signed, headers={"Origin": "http://owl.localhost"})
    assert headers["Access-Control-Allow-Origin"] == "http://owl.localhost"
    assert "ETag" in headers["Access-Control-Expose-Headers"]
    s3.delete_bucket_cors(Bucket=BUCKET)
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=BUCKET)
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": before})


def public_reading():
    url = f"{ENDPOINT}/{BUCKET}/"
    s3.put_object(Bucket=BUCKET, Key="private.txt", Body=b"private")
    s3.put_object(Bucket=BUCKET, Key="public.txt", Body=b"public", ACL="public-read")
    assert fetch(url + "public.txt")[:2] == (200, b"public")
    assert fetch(url + "private.txt")[0] == 403
    assert fetch(url + "none.txt")[0] == 403
    assert fetch(url)[0] == 403
    assert fetch(url + "new.txt", "PUT", b"x")[0] == 403
    if OURS:
        s3.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
        assert fetch(url + "private.txt")[:2] == (200, b"private")
        assert fetch(url + "none.txt")[0] == 404
        assert fetch(url + "private.txt", "DELETE")[0] == 403
        assert fetch(url)[0] == 403, "reading objects is not listing them"
        s3.put_bucket_acl(Bucket=BUCKET, ACL="private")
        assert fetch(url + "private.txt")[0] == 403


def wrong_keys():
    unknown = client(aws_access_key_id="SLUNKNOWN", aws_secret_access_key="x")
    refused("InvalidAccessKeyId", unknown.get_object, Bucket=BUCKET, Key="described")
    wrong = client(aws_secret_access_key="x" * 40,
                   aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"])
    refused("SignatureDoesNotMatch", wrong.get_object, Bucket=BUCKET, Key="described")
    refused("SignatureDoesNotMatch", wrong.put_object, Bucket=BUCKET, Key="described", Body=b"y")
    assert body("described") == b"x"
    if OTHER:
        for call in [s3.list_objects_v2, s3.head_bucket]:
            refused(("AccessDenied", "403"), call, Bucket=OTHER)
        refused("AccessDenied", s3.put_object, Bucket=OTHER, Key="x", Body=b"x")
        refused("AccessDenied", s3.copy_object, Bucket=BUCKET, Key="x",
                CopySource={"Bucket": OTHER, "Key": "x"})
    if OURS:
        # A name that looks like a way out of the bucket is a key like any other.
        status, text, _ = fetch(f"{ENDPOINT}/{BUCKET}/../{OTHER}/x")
        assert status == 403, text
        assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == [BUCKET]
        refused("NotImplemented", s3.put_bucket_versioning, Bucket=BUCKET,
                VersioningConfiguration={"Status": "Enabled"})
        refused("NoSuchVersion", s3.get_object, Bucket=BUCKET, Key="described", VersionId="abc")
        refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=BUCKET)
        refused("AccessDenied", s3.create_bucket, Bucket="another-one")
        refused("AccessDenied", s3.delete_bucket, Bucket=BUCKET)


def wrong_clocks():
    from botocore import auth, compat

    for module in (auth, compat):
        assert hasattr(module, "get_current_datetime"), module
    now = auth.get_current_datetime
    auth.get_current_datetime = lambda *a, **k: now(*a, **k) - datetime.timedelta(minutes=20)
    try:
        refused("RequestTimeTooSkewed", s3.list_objects_v2, Bucket=BUCKET)
    finally:
        auth.get_current_datetime = now


if __name__ == "__main__":
    checks = [put_and_get, odd_keys, ranges_and_conditions, copies, multipart, checksums,
              listing, tags, links, presigned, presigned_in_the_older_way, form_posts,
              form_posts_in_the_older_way, cross_origin, public_reading, wrong_keys,
              wrong_clocks]
    chosen = os.environ.get("S3_CHECKS")
    for check in checks:
        if chosen and check.__name__ not in chosen.split(","):
            continue
        start = time.monotonic()
        check()
        print(f"{check.__name__} {time.monotonic() - start:.1f} s", flush=True)
    print("all is well")
