"""The targets of one run, started in order and stopped whatever happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.execution.bare import BareTarget
from bench.execution.governed import ColdTarget, GovernedTarget, OwnTarget
from bench.execution.handwritten import CeleryTarget
from bench.execution.peer import PrefectTarget
from bench.execution.target import Job, Target

NAMES = ("bare", "celery", "governed", "own", "cold")
PEERS = ("prefect",)
"""Other platforms; they need a package index."""


@dataclass(frozen=True)
class Lineup:
    """Running targets; one that was not asked for is None. python runs the scripts of all."""

    python: str
    bare: BareTarget | None
    celery: CeleryTarget | None
    governed: GovernedTarget | None
    prefect: PrefectTarget | None = None
    own: OwnTarget | None = None
    cold: ColdTarget | None = None

    @property
    def targets(self) -> list[Target]:
        known = (self.bare, self.celery, self.prefect, self.governed, self.own, self.cold)
        return [each for each in known if each is not None]


@contextmanager
def started(
    names: Collection[str], jobs: Sequence[Job], *, python: str, workers: int
) -> Iterator[Lineup]:
    """Start the targets of these names. python "" means the one the platform chose.

    workers is the number of processes of the Celery baseline. Raises BenchError, EmbeddedError.
    """
    with ExitStack() as running:
        governed = GovernedTarget(jobs) if "governed" in names else None
        _start(governed, running)
        if governed is not None:
            python = python or governed.interpreter
        python = python or _own_interpreter()
        bare = BareTarget(python) if "bare" in names else None
        celery = CeleryTarget(python, workers, warm_up=jobs[0]) if "celery" in names else None
        _start(bare, running)
        prefect = PrefectTarget(warm_up=jobs[0]) if "prefect" in names else None
        _start(celery, running)
        _start(prefect, running)
        own = OwnTarget(jobs) if "own" in names else None
        _start(own, running)
        cold = ColdTarget(jobs) if "cold" in names else None
        _start(cold, running)
        yield Lineup(python, bare, celery, governed, prefect, own, cold)


def _start(target: Target | None, running: ExitStack) -> None:
    if target is not None:
        running.callback(target.stop)
        target.start()


def _own_interpreter() -> str:
    # Not the virtual environment's: its start-up files would count as the job's time.
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
