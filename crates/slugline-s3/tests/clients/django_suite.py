"""django-storages, as an app's settings have it."""

import os
import time
import urllib.error
import urllib.request

import django
from django.conf import settings

OPTIONS = {
    "bucket_name": os.environ["S3_BUCKET"],
    "endpoint_url": os.environ["S3_ENDPOINT_URL"],
    "region_name": os.environ["AWS_REGION"],
    "signature_version": "s3v4",
    "location": "media",
    "file_overwrite": False,
}
settings.configure(
    STORAGES={
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": OPTIONS},
        "staticfiles": {"BACKEND": "django.core.files.storage.memory.InMemoryStorage"},
    },
)
django.setup()

from django.core.files.base import ContentFile  # noqa: E402
from django.core.files.storage import default_storage as storage  # noqa: E402
from storages.backends.s3 import S3Storage  # noqa: E402

picture = b"\x89PNG of a cover"
name = storage.save("covers/a b.png", ContentFile(picture))
assert name == "covers/a b.png", name
assert storage.exists(name) and storage.size(name) == len(picture)
again = storage.save("covers/a b.png", ContentFile(b"another"))
assert again != name, "nothing is overwritten"
with storage.open(name) as file:
    assert file.read() == picture
with urllib.request.urlopen(storage.url(name)) as answer:
    assert answer.read() == picture and answer.headers["Content-Type"] == "image/png"
try:
    urllib.request.urlopen(storage.url(name).split("?")[0])
    raise AssertionError("a private picture was shown")
except urllib.error.HTTPError as error:
    assert error.code == 403
assert storage.listdir("covers")[1] == sorted([name.split("/")[1], again.split("/")[1]])
large = os.urandom(1024 * 1024) * 200
name = storage.save("films/film.bin", ContentFile(large))
with storage.open(name) as file:
    assert file.read() == large
for number in range(25):
    storage.save(f"many/{number}", ContentFile(b"."))
assert len(storage.listdir("many")[1]) == 25
assert storage.get_modified_time(name) is not None
storage.delete(name)
assert not storage.exists(name)
wrong = S3Storage(access_key="SLWRONG", secret_key="x", **OPTIONS)
try:
    wrong.save("x", ContentFile(b"x"))
    raise AssertionError("a wrong key was taken")
except Exception as error:
    assert "403" in str(error) or "InvalidAccessKeyId" in str(error), error
root = S3Storage(**{**OPTIONS, "location": ""})
directories, files = root.listdir("many")
assert files == [f"{number:05}" for number in range(10_000)] and not directories, len(files)
wrong.bucket_name = OPTIONS["bucket_name"]
try:
    wrong.open("covers/a b.png").read()
    raise AssertionError("a wrong key was taken")
except Exception as error:
    assert "403" in str(error) or "Forbidden" in str(error), error

key = storage.save("signed/ü b.png", ContentFile(b"a picture"))
put = storage.url(key, http_method="PUT", expire=3600)
request = urllib.request.Request(put, data=b"by a link", method="PUT")
assert urllib.request.urlopen(request).status == 200
with urllib.request.urlopen(storage.url(key)) as answer:
    assert answer.read() == b"by a link"
expired = storage.url(key, expire=1)
time.sleep(2.1)
try:
    urllib.request.urlopen(expired)
    raise AssertionError("an address that expired was good")
except urllib.error.HTTPError as error:
    assert error.code == 403, error
with open("links", "w") as file:
    print("put", put, file=file)
    print("get", storage.url(key), file=file)
    print("plain", storage.url(key).split("?")[0], file=file)
    print("expired", expired, file=file)
print("all is well")
