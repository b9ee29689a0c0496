"""Namespaces: a machine of its own for one run.

A process cannot move itself into a new process namespace, only its children. So there are two
steps: ``prepare_namespaces`` in the parent, then ``enter_namespaces`` in the forked child, which is
process 1 of the run.
"""

from __future__ import annotations

import os

from executors.script.sandbox.kernel import (
    LIBC,
    PR_SET_DUMPABLE,
    check,
    fork_into,
    prctl,
    unshare,
)

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000
OF_A_RUN = NEWNS | NEWNET | NEWIPC | NEWUTS | NEWCGROUP
HOST_NAME = b"sandbox"


def prepare_namespaces() -> None:
    """Make the next child process 1 of a new process namespace.

    An ordinary user gets a user namespace first, which gives the right to make the others; ids stay
    the same in it. The caller must have one thread and still be dumpable.
    """
    if os.geteuid() == 0:
        unshare(NEWPID)
        return
    ids = os.geteuid(), os.getegid()
    unshare(NEWUSER | NEWPID)
    _keep_ids(*ids)


def enter_namespaces() -> None:
    """Leave the machine's mounts, network, IPC objects, host name and cgroups."""
    unshare(OF_A_RUN)
    check(LIBC.sethostname(HOST_NAME, len(HOST_NAME)), "sethostname")


def fork_into_namespaces() -> int:
    """Fork process 1 of a run, with all namespaces made at once; returns as ``os.fork`` does.

    The child is to call ``settle_namespaces``. Raises OSError.
    """
    return fork_into(OF_A_RUN | NEWPID | (NEWUSER if os.geteuid() else 0))


def settle_namespaces(uid: int, gid: int) -> None:
    """Give new namespaces their settings. uid and gid are those from before the fork."""
    if uid:
        prctl(PR_SET_DUMPABLE, 1)  # Else the files below belong to root.
        _keep_ids(uid, gid)
        prctl(PR_SET_DUMPABLE, 0)
    check(LIBC.sethostname(HOST_NAME, len(HOST_NAME)), "sethostname")


def _keep_ids(uid: int, gid: int) -> None:
    """Let the caller's ids be the same in its new user namespace."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
