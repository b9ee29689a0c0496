"""A memory cgroup for each run, where the machine gives one: then the kernel bounds its whole tree.

Everything counts that the run makes the kernel keep: its processes, its files in memory, pipes and
sockets. Where there is no such group, or in addition, the stage measures (``Stage.watch``).
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from executors.contract import MEBIBYTE, Limits
from executors.script.sandbox.probe import Layer

GUARD_BYTES = 16 * MEBIBYTE
"""For process 1 and what the kernel keeps for the run beside its memory and its files."""
PREFIX = "execfabric-run-"
REMOVE_PATIENCE_S = 0.5
NAME = "Memory bounded by the kernel"
REMEDY = (
    "The memory of runs is measured every 50 ms instead. Give the worker's service a cgroup to "
    "share out (systemd 254: Delegate=memory and DelegateSubgroup=worker)."
)

logger = logging.getLogger(__name__)
_numbers = itertools.count()


@dataclass(frozen=True)
class Parent:
    """Where groups can be made. unified: cgroup v2."""

    path: Path
    unified: bool


class MemoryGroup:
    """The group of one run."""

    def __init__(self, path: Path, *, unified: bool) -> None:
        self.path = path
        self._unified = unified

    def ran_out(self) -> bool:
        """Return whether the kernel killed a process because the group was full."""
        name = "memory.events" if self._unified else "memory.oom_control"
        with suppress(OSError, ValueError):
            for line in (self.path / name).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1]) > 0
        return False

    def remove(self) -> None:
        """Remove it; what ended a moment ago may still count."""
        until = time.monotonic() + REMOVE_PATIENCE_S
        while True:
            try:
                self.path.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError as error:
                if time.monotonic() > until:
                    logger.warning("A memory group could not be removed: %s.", error)
                    return
                time.sleep(0.002)


@contextmanager
def make_memory_group(limits: Limits, *, wanted: bool = True) -> Iterator[MemoryGroup | None]:
    """Yield a group for one run; None where it is not wanted, or the machine gives none."""
    parent = find_parent() if wanted else None
    group = None
    if parent is not None:
        try:
            group = _make(parent, limits)
        except OSError as error:
            logger.warning("A run has no memory group: %s.", error)
    try:
        yield group
    finally:
        if group is not None:
            group.remove()


def layer() -> Layer:
    """Return whether runs get a group here; no run needs one."""
    parent = find_parent()
    if parent is None:
        return Layer(NAME, False, "no cgroup for memory can be made", REMEDY, needed=False)
    version = "v2" if parent.unified else "v1"
    return Layer(NAME, True, f"cgroup {version}", needed=False)


@cache
def find_parent() -> Parent | None:
    """Return where this process may make groups for memory, really tried; None for nowhere."""
    for parent in _candidates():
        try:
            _sweep(parent)
            if parent.unified:
                _write_if_there(parent.path / "cgroup.subtree_control", "+memory")
            _make(parent, Limits()).remove()
        except OSError:
            continue
        return parent
    return None


def _candidates() -> Iterator[Parent]:
    """Yield the worker's own groups: that of cgroup v2, then that of v1."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        root, place = fields.split()[3:5]
        kind, _, options = rest.split(" ", 2)
        for _, controllers, path in own:
            unified = kind == "cgroup2" and not controllers
            first = kind == "cgroup" and controllers == "memory" and "memory" in options.split(",")
            if unified or first:
                below = os.path.relpath(path, root)
                if below.startswith(".."):
                    continue
                group = Path(os.path.normpath(f"{place}/{below}"))
                yield Parent(group, unified)
                # A group of v2 that has processes cannot share out memory; that above the worker's
                # can, if it was made for that.
                if unified and below != "." and _is_delegated(group.parent):
                    yield Parent(group.parent, unified)


def _is_delegated(group: Path) -> bool:
    """Return whether a group is ours to share out: by systemd's mark for root, who may anyhow."""
    if os.geteuid() != 0:
        return os.access(group, os.W_OK)
    for name in ("trusted.delegate", "user.delegate"):
        with suppress(OSError):
            return os.getxattr(group, name) == b"1"
    return False


def _make(parent: Parent, limits: Limits) -> MemoryGroup:
    """Make a group. Raises OSError."""
    number = next(_numbers)
    group = MemoryGroup(
        parent.path / f"{PREFIX}{os.getpid()}-{number}", unified=parent.unified
    )  # fmt: skip
    group.path.mkdir()
    most = str(limits.memory_bytes + limits.room_bytes + GUARD_BYTES)
    try:
        if parent.unified:
            (group.path / "memory.max").write_text(most)
            _write_if_there(group.path / "memory.swap.max", "0")
        else:
            (group.path / "memory.limit_in_bytes").write_text(most)
            _write_if_there(group.path / "memory.memsw.limit_in_bytes", most)
    except OSError:
        group.remove()
        raise
    return group


def _write_if_there(path: Path, text: str) -> None:
    """For what not every machine has; ``memory.max`` tells whether it was enough."""
    with suppress(OSError):
        path.write_text(text)


def _sweep(parent: Parent) -> None:
    """Remove the groups of workers that were killed."""
    for path in parent.path.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            with suppress(OSError):
                path.rmdir()
