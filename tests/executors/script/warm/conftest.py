"""Executors with zygotes, and their cold twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executors.script.executor import ScriptExecutor
from executors.script.warm.pool import Recycling
from tests.executors.conftest import MakeFolder, Runner, executor_at
from tests.executors.script.warm.rows import Rows

MakeExecutor = Callable[..., ScriptExecutor]


@pytest.fixture(scope="session")
def executor(open_folder: Path) -> Iterator[ScriptExecutor]:
    executor = executor_at("ns", open_folder, warm=True)
    yield executor
    executor.close()


@pytest.fixture
def run_cold(open_folder: Path, make_folder: MakeFolder, tmp_path: Path) -> Iterator[Runner]:
    """Return a function that runs a script in an interpreter that starts for it."""
    executor = ScriptExecutor(state_folder=open_folder / "state-ns", warm=False)
    runner = Runner(executor, make_folder, tmp_path)
    runner.count = 1000
    yield runner
    executor.close()


@pytest.fixture
def make_executor(executor: ScriptExecutor, open_folder: Path) -> Iterator[MakeExecutor]:
    """Return a function that makes an executor with other bounds for its zygotes."""
    made: list[ScriptExecutor] = []

    def make(**bounds: float) -> ScriptExecutor:
        recycling = Recycling(**bounds)  # type: ignore[arg-type]
        made.append(ScriptExecutor(state_folder=open_folder / "state-ns", recycling=recycling))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture(scope="session")
def row_executor(open_folder: Path) -> Iterator[ScriptExecutor]:
    executor = executor_at("ns", open_folder, warm=True, memory_groups=False)
    yield executor
    executor.close()


@pytest.fixture
def rows(row_executor: ScriptExecutor, tmp_path: Path) -> Rows:
    """Runs rows where those of other tests run, too: the version is each test's own."""
    return Rows(row_executor, tmp_path)


@pytest.fixture
def lone_rows(open_folder: Path, tmp_path: Path) -> Iterator[Rows]:
    """Runs rows where nothing else does."""
    executor = executor_at("ns", open_folder, warm=True, memory_groups=False)
    folder = tmp_path / "alone"
    folder.mkdir()
    yield Rows(executor, folder)
    executor.close()
