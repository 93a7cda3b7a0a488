"""A neighbour that means no good: spins on all processors, or writes to the disk for ever."""

import os
import sys


def spin():
    for _ in range(4 * os.cpu_count() - 1):
        if os.fork() == 0:
            break
    while True:
        pass


def thrash():
    block = b"x" * (1 << 20)
    while True:
        with open("/tmp/thrash", "wb") as file:
            for number in range(256):
                file.write(block)
                if number % 16 == 15:
                    file.flush()
                    os.fsync(file.fileno())


{"spin": spin, "thrash": thrash}[sys.argv[1]]()
