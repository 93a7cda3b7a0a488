"""Logs to a file."""
import logging
import os

os.makedirs("logs", exist_ok=True)
logging.basicConfig(filename="logs/shop.log", level=logging.INFO)


def page():
    logging.info("somebody looked")
    return b"look around"


def take(body):
    logging.info("somebody sent %d bytes", len(body))
    return b"noted"
