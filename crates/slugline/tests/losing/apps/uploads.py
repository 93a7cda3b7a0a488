"""Keeps what users send in media/."""
import os


def page():
    return b"send a cover"


def take(body):
    os.makedirs("media/covers", exist_ok=True)
    with open("media/covers/owl.png", "wb") as file:
        file.write(body)
    return b"thanks"
