"""How strongly a run is fenced in. A worker is configured with one level and never falls below it.

``process`` is the first one: own session, clean environment, resource limits, no new privileges,
private folders and, where the worker is root, a user id per run. It does not hide the machine: a
run sees world-readable files, other processes' names and the network. Levels with namespaces come
as further classes; all of them speak to the worker as ``stage.py`` describes.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path

from executors.contract import ExecutorError

BOOT = "import sys; sys.path.append({folder!r}); import stage; stage.main()"


class MachineProblem(ExecutorError):
    """This machine cannot run scripts as configured; the message is for its operator."""


class LevelUnavailable(MachineProblem):
    """This machine cannot provide the configured level."""


class IsolationLevel(ABC):
    """Provides the trusted process that starts, bounds and ends a run."""

    name: str

    @abstractmethod
    def check(self) -> None:
        """Raise LevelUnavailable when this machine cannot provide the level."""

    @abstractmethod
    def stage_command(self) -> list[str]:
        """Return the command of the stage; the numbers of its four pipes are appended."""


class ProcessLevel(IsolationLevel):
    name = "process"

    def check(self) -> None:
        if sys.platform != "linux" or not Path("/proc/self/task").is_dir():
            raise LevelUnavailable("Scripts can run only on Linux with /proc mounted.")

    def stage_command(self) -> list[str]:
        python = getattr(sys, "_base_executable", None) or sys.executable
        # Imported, not run as a file: its compiled form is used, which saves some milliseconds.
        boot = BOOT.format(folder=str(Path(__file__).resolve().parent))
        return [python, "-I", "-S", "-B", "-c", boot]


LEVELS: dict[str, type[IsolationLevel]] = {level.name: level for level in (ProcessLevel,)}


def level_named(name: str) -> IsolationLevel:
    """Return the level of that name. Raises LevelUnavailable, naming those there are."""
    if name not in LEVELS:
        raise LevelUnavailable(
            f"There is no isolation level {name!r}. Known levels: {', '.join(sorted(LEVELS))}."
        )
    return LEVELS[name]()
