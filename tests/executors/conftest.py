"""Script folders made on the spot, and a way to run them for real."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executors.contract import ExecutionRequest, ExecutionResult, Limits, Stream
from executors.script.executor import ScriptExecutor
from executors.script.level import LevelUnavailable
from executors.script.removal import remove_tree

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def told_of_cold_starts(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """A warm start that silently became a cold one would make every test of warm starts empty."""
    yield
    if "may_start_cold" not in request.fixturenames:
        assert "starts cold" not in caplog.text


@pytest.fixture
def may_start_cold() -> None:
    """For tests that break zygotes."""


class RecordingSink:
    """Keeps what it is told; ``cancel_after`` calls of alive it asks to cancel."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.pieces: list[tuple[Stream, str]] = []
        self.progress_lines: list[tuple[float, str]] = []
        self.alive_calls = 0
        self.left_out_bytes = 0
        self.cancel_after = cancel_after

    def log(self, stream: Stream, text: str) -> None:
        self.pieces.append((stream, text))

    def left_out(self, size_bytes: int) -> None:
        self.left_out_bytes = size_bytes

    def progress(self, fraction: float, message: str) -> None:
        self.progress_lines.append((fraction, message))

    def alive(self) -> bool:
        self.alive_calls += 1
        return self.cancel_after is None or self.alive_calls < self.cancel_after

    def text(self, stream: Stream | None = None) -> str:
        return "".join(text for name, text in self.pieces if stream in (None, name))


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder other users may enter; pytest's own are closed, and as root runs are others."""
    folder = Path(tempfile.mkdtemp(prefix="execfabric-runs-"))
    folder.chmod(0o755)
    yield folder
    remove_tree(folder)


@pytest.fixture(
    scope="session",
    params=[("ns", False), ("ns", True), ("ll", False), ("process", False)],
    ids=["ns cold", "ns warm", "ll", "process"],
)
def executor(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[ScriptExecutor]:
    """What scripts are promised holds at every level, and from a warm start as from a cold one."""
    level, warm = request.param
    executor = executor_at(level, open_folder, warm=warm)
    yield executor
    executor.close()


def executor_at(level: str, open_folder: Path, *, warm: bool, **options: Any) -> ScriptExecutor:
    """Return an executor; skip the test where the machine cannot have the level, but not in CI."""
    state = open_folder / f"state-{level}"
    executor = ScriptExecutor(state_folder=state, level=level, zygotes=warm, **options)
    try:
        executor.check()
    except LevelUnavailable as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    return executor


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Return a function that makes a script folder from file names and texts."""

    def make(name: str = "report", **texts: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "README.md").write_text("# A script\n\nIt does something.\n")
        for key, text in texts.items():
            file = key.replace("__", ".")
            (folder / file).write_text(textwrap.dedent(text).lstrip("\n"))
        return folder

    return make


class Runner:
    """Runs one script; keeps the sink of the last run."""

    def __init__(self, executor: ScriptExecutor, make_folder: MakeFolder, tmp_path: Path) -> None:
        self.executor = executor
        self.make_folder = make_folder
        self.tmp_path = tmp_path
        self.sink = RecordingSink()
        self.count = 0

    def __call__(self, code: str, *, shell: bool = False, **options: Any) -> ExecutionResult:
        self.count += 1
        name = "main__sh" if shell else "main__py"
        folder = self.make_folder(f"script-{self.count}", **{name: code})
        return self.folder(folder, shell=shell, **options)

    def folder(
        self,
        folder: Path,
        *,
        shell: bool = False,
        python: Path | None = None,
        sink: RecordingSink | None = None,
        limits: dict[str, Any] | None = None,
        **request: Any,
    ) -> ExecutionResult:
        self.sink = sink or RecordingSink()
        return self.executor.execute(
            request_for(folder, shell=shell, python=python, limits=limits, **request),
            self.sink,
            workdir=Path(tempfile.mkdtemp(dir=self.tmp_path)),
        )


def request_for(
    folder: Path,
    *,
    shell: bool = False,
    python: Path | None = None,
    limits: dict[str, Any] | None = None,
    **request: Any,
) -> ExecutionRequest:
    return ExecutionRequest(
        execution_id="run-1",
        tenant="acme",
        kind="script",
        resource={
            "folder": str(folder),
            "runtime": "shell" if shell else "python",
            "entry": "main.sh" if shell else "main.py",
            "python": str(python) if python else None,
        },
        limits=Limits(**{"timeout_s": 30, **(limits or {})}),
        **request,
    )


@pytest.fixture
def run(executor: ScriptExecutor, make_folder: MakeFolder, tmp_path: Path) -> Runner:
    return Runner(executor, make_folder, tmp_path)


def processes_with(marker: str) -> list[int]:
    """Return the living processes whose command line holds marker."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marker.encode() in command and state != "Z":
            found.append(int(process.name))
    return found
