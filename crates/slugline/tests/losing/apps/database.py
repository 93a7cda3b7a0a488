"""Keeps its orders in a file that does not look like a database."""
import sqlite3


def page():
    return b"order here"


def take(body):
    with sqlite3.connect("orders") as db:
        db.execute("CREATE TABLE IF NOT EXISTS book (name TEXT)")
        db.execute("INSERT INTO book VALUES (?)", (body.decode(),))
    return b"ordered"
