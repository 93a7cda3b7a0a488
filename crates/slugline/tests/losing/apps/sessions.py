"""Keeps who is signed in in files, as Django's and PHP's file sessions do."""
import os


def page():
    return b"sign in"


def take(body):
    os.makedirs("sessions", exist_ok=True)
    with open("sessions/sessionid8d4g2k", "wb") as file:
        file.write(body)
    return b"welcome"
