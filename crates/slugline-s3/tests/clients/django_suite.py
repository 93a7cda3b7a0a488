"""django-storages, as an app's settings have it."""

import os
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
print("all is well")
