"""Giving up rights: user, capabilities, and every later gain."""

from __future__ import annotations

import os
import struct

from executors.script.sandbox.kernel import (
    LIBC,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    call,
    prctl,
)

CAPABILITY_VERSION = 0x20080522
CAPABILITIES = 64
"""More than there are; the kernel refuses the rest, which is as good."""


def become_user(uid: int, gid: int) -> None:
    """Turn root into an ordinary user for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def empty_bounding_set() -> None:
    """Let no program started later have any capability. Before ``become_user``, which loses the
    right to do this."""
    for number in range(CAPABILITIES):
        if LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            break  # There are no more, or no right to do this: then nothing can be gained by it.


def drop_capabilities() -> None:
    """Give up all capabilities, those to be passed on included."""
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    call("capset", header, struct.pack("=6I", 0, 0, 0, 0, 0, 0))


def forbid_new_privileges() -> None:
    """From here on no setuid program gives more rights."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
