#!/usr/bin/env python3
"""Looks from inside a build for what it must not see. Each finding is a line `FOUND …`."""

import ctypes
import json
import os
import socket
import sys

FACTS = json.loads("""@FACTS@""")


def found(what):
    print("FOUND", what, flush=True)


def names(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def files_of_the_host():
    for path in ["/root", "/home", "/mnt", "/media", "/srv", "/run", "/var/run", "/var/log"]:
        if names(path):
            found(f"{path}: {names(path)}")
    for path in ["/etc/shadow", "/etc/ssh", "/var/run/docker.sock", "/boot", "/sys/class",
                 "/sys/kernel", "/dev/kmsg", "/dev/mem", "/dev/fuse", FACTS["data"]]:
        if os.path.lexists(path):
            found(path)
    below = [os.path.join(at, name) for at, _, files in os.walk("/sys") for name in files]
    if below != ["/sys/fs/cgroup/memory/memory.limit_in_bytes"]:
        found(f"/sys: {below[:10]}")


def others():
    pids = [pid for pid in names("/proc") if pid.isdigit()]
    for pid in pids:
        line = contents(f"/proc/{pid}/cmdline")
        if b"supervise" in line or FACTS["data"].encode() in line:
            found(f"{pid}: {line}")
        if b"SLUGLINE-" in contents(f"/proc/{pid}/environ"):
            found(f"a token in the environment of {pid}")
    if contents("/proc/1/cmdline").strip(b"\0"):
        found(f"init's command line: {contents('/proc/1/cmdline')}")
    for name in ["environ", "maps", "mem", "auxv"]:
        if contents(f"/proc/1/{name}"):
            found(f"init's {name}")
    for name in ["root", "cwd", "exe", "fd/0"]:
        try:
            found(f"init's {name}: {os.readlink(f'/proc/1/{name}')}")
        except OSError:
            pass


def descriptors():
    for pid in ["self", str(os.getppid())]:
        for descriptor in names(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if FACTS["data"] in target or target.startswith("/proc/") and pid != "self":
                found(f"descriptor {descriptor} of {pid}: {target}")
            elif int(descriptor) > 3 and pid == "self" and not target.startswith("/proc/"):
                found(f"descriptor {descriptor}: {target}")


def writes(path, text):
    try:
        with open(path, "wb") as file:
            file.write(text)
        return True
    except OSError:
        return False


def writable_switches():
    for at, _, files in os.walk("/proc/sys"):
        for name in files:
            path = os.path.join(at, name)
            if os.access(path, os.W_OK) and writes(path, contents(path)):
                found(f"writable {path}")
    for path in ["/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/usr", "/etc/ssl/certs"]:
        if os.access(path, os.W_OK):
            found(f"writable {path}")


def sockets():
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect("\0" + FACTS["abstract"])
        found("an abstract socket of the host")
    except OSError:
        pass
    api = socket.create_connection(("127.0.0.1", FACTS["api_port"]))
    api.sendall(b"GET /apps HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = api.recv(100)
    if b" 401 " not in answer:
        found(f"an open API: {answer}")


def privileges():
    status = contents("/proc/self/status").decode()
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"]:
        if line not in status:
            found(f"no {line!r}")
    libc = ctypes.CDLL(None, use_errno=True)
    for name, call in [
        ("mount", lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None)),
        ("chroot", lambda: libc.chroot(b"/tmp")),
        ("sethostname", lambda: libc.sethostname(b"x", 1)),
        ("ptrace of init", lambda: libc.ptrace(16, 1, None, None)),
        ("setuid", lambda: libc.setuid(0)),
        ("unshare", lambda: libc.unshare(0x10000000)),
        ("a device", lambda: libc.mknod(b"/tmp/device", 0o60666, 0x800)),
    ]:
        if call() == 0:
            found(f"allowed: {name}")


def memory_and_processors():
    path = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    if int(contents(path) or 0) != FACTS["memory"]:
        found(f"{path}: {contents(path)}")
    if os.cpu_count() != FACTS["processors"]:
        found(f"{os.cpu_count()} processors")
    if os.nice(0) <= 0:
        found("no lower priority")
    if int(contents("/proc/self/oom_score_adj")) <= 0:
        found("no higher badness")


for look in [files_of_the_host, others, descriptors, writable_switches, sockets, privileges,
             memory_and_processors]:
    look()
print("probed by", os.getuid(), "in", sys.argv[1])
