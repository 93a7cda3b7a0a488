"""Settings of the library. What differs between deployments is read from config vars:

DJANGO_SECRET_KEY     the signing key
DJANGO_ALLOWED_HOSTS  more host names, separated by commas
DJANGO_HTTPS_ONLY     1 redirects http to https and marks cookies as secure
DJANGO_DEBUG          1 for development, never in production
S3_BUCKET             a bucket for the covers, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and,
                      where it is not Amazon's, S3_ENDPOINT_URL
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


def flag(name):
    return os.environ.get(name) == "1"


DEBUG = flag("DJANGO_DEBUG")

# A development key. `manage.py check --deploy` warns until DJANGO_SECRET_KEY replaces it.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or "django-insecure-development-key-of-the-library-example"

ALLOWED_HOSTS = [".localhost", "localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += filter(None, os.environ.get("DJANGO_ALLOWED_HOSTS", "").replace(" ", "").split(","))

# The router ends TLS and tells in a header which scheme the browser used.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
HTTPS_ONLY = flag("DJANGO_HTTPS_ONLY")
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 3600 if HTTPS_ONLY else 0
CSRF_COOKIE_SECURE = HTTPS_ONLY

INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "books",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "library.urls"
WSGI_APPLICATION = "library.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    },
]

# The database is on the dyno's own disk, and so are the covers where there is no bucket: they are gone when
# the dyno stops.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    },
}
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True

# webpack writes the client to CLIENT_DIST, and collectstatic copies it below STATIC_ROOT/client.
# The folder is missing until the client has been built.
CLIENT_DIST = BASE_DIR / "client" / "dist"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [("client", CLIENT_DIST)] if CLIENT_DIST.is_dir() else []
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Covers in a bucket outlive every dyno, and all dynos see them.
BUCKET = os.environ.get("S3_BUCKET")
if BUCKET:
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": BUCKET,
            "endpoint_url": os.environ.get("S3_ENDPOINT_URL"),
            "region_name": os.environ.get("AWS_REGION"),
            "signature_version": "s3v4",
            "location": "media",
        },
    }
# Cached for ever: names that hold the content hash of Django (12 digits) or of webpack (16).
WHITENOISE_IMMUTABLE_FILE_TEST = r"\.(?:[0-9a-f]{12}|[0-9a-f]{16})\."

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "plain"}},
    "root": {"handlers": ["stdout"], "level": "INFO"},
}
