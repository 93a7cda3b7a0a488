"""Has a cache, which anyone may lose."""
import os


def page():
    os.makedirs(".cache/pages", exist_ok=True)
    os.makedirs("cache", exist_ok=True)
    for path in (".cache/pages/1", "cache/front", "server.pid"):
        with open(path, "w") as file:
            file.write("made again when it is needed")
    return b"fast"


def take(body):
    return page()
