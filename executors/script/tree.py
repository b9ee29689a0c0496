"""The processes below another one, read from /proc. Part of the stage: standard library only."""

# pathlib and contextlib would cost every run their import:
# ruff: noqa: PTH116, PTH123, PTH208, SIM105

from __future__ import annotations

import os

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal


def stop_then_kill(root: int) -> None:
    """Stop every descendant of root, then kill them: what is stopped cannot fork meanwhile."""
    seen: set[int] = set()
    while fresh := set(descendants(root)) - seen:
        for pid in fresh:
            send(pid, signal.SIGSTOP)
        seen |= fresh
    for pid in seen:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def descendants(root: int) -> list[int]:
    """Return the ids of all processes below root."""
    found: list[int] = []
    todo = [root]
    while todo:
        pid = todo.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                children = children_of(pid, int(task))
                found += children
                todo += children
        except FileNotFoundError:
            if pid == root:
                return descendants_by_parent(root)
        except OSError:
            pass
    return found


def children_of(pid: int, task: int | None = None) -> list[int]:
    """Return the ids of the children of one thread, the first one unless told otherwise.

    Raises FileNotFoundError also for a kernel built without the children files.
    """
    with open(f"/proc/{pid}/task/{task or pid}/children", "rb") as stream:
        return [int(word) for word in stream.read().split()]


def session_of(pid: int) -> int:
    """Return the id of a process's session. Raises OSError when it has ended."""
    return int(_facts_of(pid)[3])


def _facts_of(pid: int | str) -> list[bytes]:
    """Return what /proc says of a process behind its name, from its state on. Raises OSError."""
    with open(f"/proc/{pid}/stat", "rb") as stream:
        return stream.read().rpartition(b")")[2].split()


def descendants_by_parent(root: int) -> list[int]:
    """The same for a kernel built without the children files: look at every process."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = int(_facts_of(name)[1])
            except (OSError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [root]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def count_tasks_of(uid: int) -> int:
    """Return how many threads the user has running now."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == uid:
                    total += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return total
