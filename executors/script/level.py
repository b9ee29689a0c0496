"""How strongly a run is fenced in. A worker is configured with one level and never falls below it.

``process`` is the weakest one: own session, clean environment, resource limits, no new privileges,
private folders and, where the worker is root, a user id per run. It does not hide the machine: a
run sees world-readable files, other processes' names and the network. All levels speak to the
worker as ``stage.py`` describes; ``levels.py`` names them.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from executors.contract import ExecutorError, Limits
from executors.script.sandbox.probe import Layer, own_users

STAGE = "executors.script.stage"
BOOT = "import sys; sys.path.append({folder!r}); from {module} import main; main()"


class MachineProblem(ExecutorError):
    """This machine cannot run scripts as configured; the message is for its operator."""


class LevelUnavailable(MachineProblem):
    """This machine cannot provide the configured level."""


@dataclass(frozen=True)
class Places:
    """Where a script finds what it was given, and the folders it may write to."""

    given: Path
    own: Path


@dataclass(frozen=True)
class Job:
    """What a run is given. folders and texts are what a level that hides the machine shows below
    ``Places.given``, read-only; at others all of it lies there already."""

    inputs: dict[str, JsonValue]
    """As the script gets them: files are paths."""
    folders: list[tuple[Path, str]] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    network: bool = False
    """Whether it has the network, where the level can give and take it."""


class Network(Enum):
    """What of the network a level gives to a run that may have it."""

    NONE = "none"
    GATED = "gated"
    """Through a gate that judges every address; to other runs nothing."""
    OPEN = "open"
    """All of it, to every run."""


class IsolationLevel(ABC):
    """Provides the trusted process that starts, bounds and ends a run."""

    name: str
    is_sandbox = True
    """Whether a run can do less than its user."""
    hides_machine = False
    """Whether a run sees no file and no process but its own."""
    can_start_warm = False
    """Whether a zygote can fork into it."""
    network = Network.NONE

    def __init__(self) -> None:
        self._works = False

    @abstractmethod
    def layers(self) -> list[Layer]:
        """Return what the level is made of, and for each part whether this machine gives it."""

    def check(self) -> None:
        """Raise LevelUnavailable, with reason and remedy, when a layer is missing.

        Only a yes is remembered.
        """
        if self._works:
            return
        for layer in self.layers():
            if layer.needed and not layer.works:
                raise LevelUnavailable(
                    f"This machine cannot give scripts the isolation {self.name!r}. "
                    f"{layer.name}: {layer.detail}. {layer.remedy}"
                )
        self._works = True

    def places(self, folder: Path) -> Places:
        """Return where the script finds the parts of its folder on this machine."""
        return Places(folder, folder)

    def plan(
        self, job: Job, state: Path, python: Path | None, limits: Limits, uid: int | None
    ) -> dict[str, Any] | None:
        """Return what the stage builds around the script, as plain data; None for nothing.

        state: the executor's folder. python: the script's interpreter. uid: the run's, None for
        the worker's own.
        """
        return None

    def stage_command(self, compiled: Path) -> list[str]:
        """Return the command of the stage; the numbers of its four channels are appended.

        compiled: where the compiled form of its code is kept; only the worker may write there.
        """
        python, *flags = self.python_command(STAGE)
        flags.remove("-B")
        return [python, "-X", f"pycache_prefix={compiled}", *flags]

    def python_command(self, module: str) -> list[str]:
        """Return the command that calls main of a module of ours in a bare interpreter."""
        python = getattr(sys, "_base_executable", None) or sys.executable
        # Imported, not run as a file: its compiled form is used, which saves some milliseconds.
        boot = BOOT.format(folder=str(Path(__file__).resolve().parents[2]), module=module)
        return [python, "-I", "-S", "-B", "-c", boot]


class ProcessLevel(IsolationLevel):
    name = "process"
    is_sandbox = False
    network = Network.OPEN

    def layers(self) -> list[Layer]:
        works = sys.platform == "linux" and Path("/proc/self/task").is_dir()
        remedy = "" if works else "Scripts can run only on Linux with /proc mounted."
        return [Layer("Linux with /proc", works, sys.platform, remedy), own_users()]
