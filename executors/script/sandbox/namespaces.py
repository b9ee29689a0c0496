"""Namespaces: a machine of its own for one run.

A process cannot move itself into a new process namespace, only its children. So there are two
steps: ``prepare_namespaces`` in the parent, then ``enter_namespaces`` in the forked child, which is
process 1 of the run.
"""

from __future__ import annotations

import os

from executors.script.sandbox.kernel import LIBC, check, unshare

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
    gain_user_namespace(NEWPID)


def gain_user_namespace(others: int = 0) -> None:
    """Enter a user namespace, where an ordinary user has the right to make others. ids stay."""
    ids = os.geteuid(), os.getegid()
    unshare(NEWUSER | others)
    keep_ids(*ids)


def enter_namespaces() -> None:
    """Leave the machine's mounts, network, IPC objects, host name and cgroups."""
    unshare(OF_A_RUN)
    name_host()


def name_host() -> None:
    check(LIBC.sethostname(HOST_NAME, len(HOST_NAME)), "sethostname")


def keep_ids(uid: int, gid: int, process: str = "/proc/self", within: int | None = None) -> None:
    """Let ids be the same in the new user namespace of a process, given as its folder of /proc.

    within: the open folder that process lies in.
    """
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        path = f"{process}/{name}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=within)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
