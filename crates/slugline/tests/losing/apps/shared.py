"""Hands an upload to its worker by a file, which the worker never sees."""
import os
import time


def page():
    return b"send a list"


def take(body):
    os.makedirs("uploads", exist_ok=True)
    with open("uploads/list.csv", "wb") as file:
        file.write(body)
    return b"it is being worked on"


if __name__ == "__main__":
    while True:
        print("there is work" if os.path.exists("uploads/list.csv") else "no work", flush=True)
        time.sleep(0.2)
