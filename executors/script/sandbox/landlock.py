"""Landlock: which files a process may reach, whatever its user and its mounts allow."""

from __future__ import annotations

import os
import struct

from executors.script.sandbox.kernel import call

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
MAKE_CHAR = 1 << 6
MAKE_BLOCK = 1 << 11
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15
FIRST_RIGHTS = (1 << 13) - 1
"""Those of the first version; later ones added a bit each."""

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
USE = (FIRST_RIGHTS | REFER | TRUNCATE) & ~(MAKE_CHAR | MAKE_BLOCK)
DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""What can be granted for a path that is not a folder."""

OLDEST = 1
TCP = 0b11
"""Binding and connecting."""
SCOPES = 0b11
"""Abstract sockets of others, and signals to others."""
SCOPED = 6
"""The first version that has those."""
ASK_VERSION = 1
PATH_BENEATH = 1


def version() -> int:
    """Return the version of Landlock this kernel has. Raises OSError when it has none."""
    return call("landlock_create_ruleset", None, 0, ASK_VERSION)


def restrict_files(rules: dict[str, int], *, tcp: bool) -> None:
    """Deny the calling process every file but those below the given paths, for good.

    rules: path -> rights. Paths that are not there are left out. tcp: whether it may use TCP, where
    the kernel can tell. Needs ``no_new_privs``.
    """
    have = version()
    rights = FIRST_RIGHTS
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        rights |= right if have >= since else 0
    network = TCP if have >= 4 and not tcp else 0
    scopes = SCOPES if have >= SCOPED else 0
    attributes = struct.pack("=QQQ", rights, network, scopes)
    size = 24 if have >= SCOPED else 16 if have >= 4 else 8
    ruleset = call("landlock_create_ruleset", attributes, size, 0)
    try:
        for path, granted in rules.items():
            _allow(ruleset, path, granted & rights)
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def make_own_scope() -> int:
    """Return what ``enter_own_scope`` takes, an open descriptor. Needs a version of SCOPED."""
    # Not to speak of renaming from one folder to another would be to forbid it.
    ruleset = call("landlock_create_ruleset", struct.pack("=QQQ", REFER, 0, SCOPES), 24, 0)
    _allow(ruleset, "/", REFER)
    return ruleset


def enter_own_scope(ruleset: int) -> None:
    """Deny the calling process, and what it forks, to signal, to trace and to reach by abstract
    sockets whoever is not one of them, for good. Others who enter by the same ruleset are not.
    Needs ``no_new_privs``."""
    call("landlock_restrict_self", ruleset, 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if rights & ~OF_FILES and not os.path.isdir(path):  # noqa: PTH112 - see view.py.
            rights &= OF_FILES
        call("landlock_add_rule", ruleset, PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)
