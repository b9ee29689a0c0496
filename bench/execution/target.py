"""What is measured: something that runs a job and hands back its result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.execution import footprint

JOBS_FOLDER = Path(__file__).parents[1] / "jobs"


class BenchError(RuntimeError):
    """The benchmark cannot go on. The text is for the person who started it."""


@dataclass(frozen=True)
class Job:
    """A script folder below bench/jobs; the script maps n to n + 1."""

    name: str

    @property
    def folder(self) -> Path:
        return JOBS_FOLDER / self.name

    @property
    def script(self) -> Path:
        return self.folder / "main.py"

    @property
    def skill(self) -> str:
        """The skill's name on the platform."""
        return f"bench-{self.name}"


class Target(ABC):
    """One way to run a job. run_one is called from several threads at a time."""

    name: str

    def start(self) -> None:  # noqa: B027 - not every target has a server
        """Bring up what it needs and run a few jobs. Raises BenchError."""

    def stop(self) -> None:  # noqa: B027 - nor anything to end
        """End everything start() began; also after a start that failed."""

    def roots(self) -> Collection[int]:
        """Return the processes it consists of, without their descendants; none: no server."""
        return ()

    @abstractmethod
    def run_one(self, job: Job, n: int) -> float:
        """Return the seconds from the submission to the checked result. Raises BenchError."""

    def cpu_s(self) -> float:
        """Return the CPU seconds it has spent so far, the client's own not included."""
        return footprint.cpu_s(self.roots())

    def cpu_s_by_part(self) -> dict[str, float]:
        """Return the same by what it consists of, where that is known."""
        return {}

    def memory(self) -> footprint.Memory | None:
        """Return what it holds now, or None where there is no server."""
        roots = self.roots()
        return footprint.memory(roots) if roots else None

    def missing_evidence(self) -> list[str] | None:
        """Return what it should have recorded about its jobs and has not; None: records nothing."""
        return None

    def check(self, result: Any, n: int) -> None:
        """Raise BenchError unless result is what the job makes of n."""
        if not isinstance(result, dict) or result.get("n") != n + 1:
            raise BenchError(f"{self.name}: wrong result {result!r} for n={n}")
