"""The level ``ll``: Landlock, seccomp and limits, for machines that forbid namespaces.

This is the worker's part. Never chosen by itself: an operator asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from executors.contract import Limits
from executors.script.level import IsolationLevel, Job
from executors.script.sandbox import landlock, probe
from executors.script.sandbox.level import (
    CODE,
    PROBE,
    interpreter_folders,
    is_below,
    shared_settings,
    system_folders,
)
from executors.script.sandbox.probe import UNSHARED_STAGE
from executors.script.sandbox.view import DEVICES

OPEN_SETTINGS = ("group", "hostname", "hosts", "localtime", "nsswitch.conf", "passwd", "timezone")
OPEN_FACTS = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version")
"""Of /proc: what describes the machine and no process."""


class UnsharedLevel(IsolationLevel):
    name = "ll"

    def layers(self) -> list[probe.Layer]:
        """Return, layer by layer, what this machine gives. Every layer is really tried."""
        return probe.ask_machine(self.python_command(PROBE), build_plan(None, ()))

    def plan(
        self, job: Job, state: Path, python: Path | None, limits: Limits, uid: int | None
    ) -> dict[str, Any]:
        return build_plan(python, (CODE, state.parent))


def build_plan(python: Path | None, hidden: tuple[Path, ...]) -> dict[str, Any]:
    """Return what Landlock grants of the machine. hidden: folders that nothing is granted of,
    though they may lie in one that is. The stage adds the run's own folders."""
    system, _ = system_folders()
    places = tuple(path.resolve() for path in hidden)
    granted = [part for folder in system for part in parts_without(Path(folder), places)]
    if python is not None:
        granted += map(str, interpreter_folders(python))
    settings = [*shared_settings(), *(f"/etc/{name}" for name in OPEN_SETTINGS)]
    rules = dict.fromkeys(granted, landlock.RUN)
    rules |= dict.fromkeys([*settings, *(f"/proc/{name}" for name in OPEN_FACTS)], landlock.READ)
    rules |= dict.fromkeys([f"/dev/{name}" for name in DEVICES], landlock.DEVICE)
    return {"stage": UNSHARED_STAGE, "rules": rules}


def parts_without(folder: Path, hidden: tuple[Path, ...]) -> Iterator[str]:
    """Yield folder, or what is in it where a hidden folder is below. Links are left out there: one
    may lead to what is hidden, and what else they lead to is granted by its own name or not at all.

    hidden: without links in their paths.
    """
    if folder in hidden:
        return
    if not any(is_below(str(path), [str(folder)]) for path in hidden):
        yield str(folder)
        return
    for part in sorted(folder.iterdir()):
        if not part.is_symlink():
            yield from parts_without(part, hidden)
