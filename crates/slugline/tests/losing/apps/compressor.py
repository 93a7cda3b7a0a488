"""Compresses its styles when the page is first asked for, as django-compressor does."""
import os

OUT = "static/CACHE/css/out.css"


def page():
    if not os.path.exists(OUT):
        os.makedirs(os.path.dirname(OUT))
        with open(OUT, "w") as file:
            file.write("body{color:#123}")
    return b'<link rel="stylesheet" href="/static/CACHE/css/out.css">'


def take(body):
    return page()
