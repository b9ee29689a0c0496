"""The layers a process puts on itself, last thing before it becomes the script."""

from __future__ import annotations

import os

from executors.script.sandbox import landlock, seccomp
from executors.script.sandbox.privileges import (
    become_user,
    drop_capabilities,
    empty_bounding_set,
    forbid_new_privileges,
)


def lock_calls(instructions: bytes | None = None) -> None:
    """Give up calls of the kernel, for good. What ``lock_down`` needs is not among them.

    instructions: another filter than the usual one.
    """
    forbid_new_privileges()
    seccomp.restrict_calls(instructions or seccomp.build_filter())


def lock_down(
    rules: dict[str, int],
    uid: int | None,
    gid: int | None,
    *,
    instructions: bytes | None = None,
    calls_are_locked: bool = False,
    is_bounded: bool = False,
) -> None:
    """Give up user, capabilities, files and calls of the kernel. Raises OSError when any stays.

    rules: see ``landlock.restrict_files``. uid and gid are None for an ordinary user, who keeps
    its own. instructions: see ``lock_calls``. is_bounded: whether the bounding set is empty
    already. The caller must not run a script when this raises.
    """
    if not is_bounded:
        empty_bounding_set()
    if uid is not None and gid is not None:
        become_user(uid, gid)
    drop_capabilities()
    if 0 in os.getresuid():
        raise PermissionError(0, "the script would be root")
    forbid_new_privileges()
    landlock.restrict_files(rules, tcp=True)
    if not calls_are_locked:
        lock_calls(instructions)
