"""Calls of the kernel that Python 3.11 has no functions for. Every one raises OSError."""

from __future__ import annotations

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
SINGLE = ctypes.PyDLL(None, use_errno=True)
"""Calls through it keep the interpreter's lock."""
MACHINE = os.uname().machine

CALLS = {
    # name: numbers on x86_64 and aarch64
    "capset": (126, 91),
    "clone": (56, 220),
    "ioprio_get": (252, 31),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "pivot_root": (155, 41),
    "sched_getattr": (315, 275),
}
AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Machines the numbers above are known for, as seccomp names them."""

SIGCHLD = 17
CLONE_VM, CLONE_FILES, CLONE_PARENT = 0x100, 0x400, 0x8000
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38


class UnknownMachine(OSError):
    """The numbers of system calls are not known for this processor."""


def is_known_machine() -> bool:
    return MACHINE in AUDIT_ARCHITECTURES


def column() -> int:
    """Return which number of a pair is this machine's. Raises UnknownMachine."""
    if not is_known_machine():
        raise UnknownMachine(0, f"the sandbox does not know the processor {MACHINE}")
    return 0 if MACHINE == "x86_64" else 1


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call by name; returns what it returns. What it fills goes to an array."""
    number = CALLS[name][column()]
    words = [ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments]
    result = int(LIBC.syscall(ctypes.c_long(number), *words))
    return check(result, name)


def prctl(option: int, value: int) -> None:
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    check(LIBC.prctl(option, *words), f"prctl {option}")


def mount(
    source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str = ""
) -> None:
    words = [text.encode() if text is not None else None for text in (source, target, kind)]
    result = LIBC.mount(*words, ctypes.c_ulong(flags), options.encode() if options else None)
    check(result, f"mount {kind or source or ''} at {target}")


def unshare(flags: int) -> None:
    check(LIBC.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Enter namespaces. descriptor: a namespace, or a process of which flags say what to enter."""
    check(LIBC.setns(descriptor, flags), "setns")


def start_idle(flags: int, stack: int) -> int:
    """Start a process that does nothing until it is killed; return its id. Raises OSError.

    flags name its new namespaces. stack: the address after the memory it may use. It is not forked,
    which would cost a hundred times as much: it shares the caller's memory and descriptors, and all
    it ever calls is ``pause``. So it must not be sent a signal that the caller handles.
    """
    words = ctypes.c_void_p(stack), flags | CLONE_VM | CLONE_FILES | SIGCHLD, None
    return check(LIBC.clone(LIBC.pause, *words), "clone")


def fork_into(flags: int) -> int:
    """Fork as ``os.fork`` does; flags name the new namespaces of the child. Raises OSError.

    The C library learns nothing of it. So the child must not start threads; what it forks the usual
    way may. The caller must have one thread.
    """
    number = ctypes.c_long(CALLS["clone"][column()])
    words = [ctypes.c_ulong(word) for word in (flags | SIGCHLD, 0, 0, 0, 0)]
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(SINGLE.syscall(number, *words))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        failed = ctypes.get_errno()
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        ctypes.set_errno(failed)
    return check(pid, "clone")


def check(result: int, what: str) -> int:
    """Return result. Raises OSError when it says that the call failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
