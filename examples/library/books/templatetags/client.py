"""Finds the files of the client that webpack built.

webpack names them by their content and lists them in webpack-manifest.json, as
{"main.js": "main.0123456789abcdef.js"}. They are not passed through Django's own
hashing, because the client loads its later chunks by the names that webpack gave.
"""

import json
from functools import lru_cache

from django import template
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

register = template.Library()

MANIFEST = "webpack-manifest.json"


@lru_cache(maxsize=1)
def parsed(path, modified_at):
    return json.loads(path.read_text())


def client_files():
    """The manifest, read again when webpack has written it anew."""
    path = settings.CLIENT_DIST / MANIFEST
    try:
        return parsed(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise ImproperlyConfigured(
            f"{path} does not exist: the client is not built. Run `npm ci && npm run build` in client/."
        ) from None


@register.simple_tag
def client(name):
    """The URL of a file of the client, such as {% client "main.js" %}."""
    files = client_files()
    if name not in files:
        raise ImproperlyConfigured(f"webpack built no {name}. It built: {', '.join(sorted(files))}.")
    return f"{settings.STATIC_URL}client/{files[name]}"
