"""Runs an example as a worker does: real environment, real executor."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from executors.contract import MEBIBYTE, ExecutionRequest, ExecutionResult, Limits, Outcome, Stream
from executors.inputs import check_inputs
from executors.manifest import load_manifest
from executors.script.environment import build_environment
from executors.script.executor import ScriptExecutor
from executors.script.identity import FIRST_UID
from executors.script.interpreter import find_interpreter
from tests.services import folder_of_the_run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CODE_S = 60

InputFile = Path | tuple[str, bytes]
"""A file as it is, or a name and the content for a new one."""


@dataclass
class Heard:
    """A sink that keeps what it is told."""

    streams: dict[str, str] = field(default_factory=lambda: {"stdout": "", "stderr": ""})
    progressed: list[tuple[float, str]] = field(default_factory=list)

    def log(self, stream: Stream, text: str) -> None:
        self.streams[stream] += text

    def left_out(self, size_bytes: int) -> None:
        pass

    def progress(self, fraction: float, message: str) -> None:
        self.progressed.append((fraction, message))

    def alive(self) -> bool:
        return True


@dataclass
class Run:
    """What a run of an example left behind."""

    result: ExecutionResult
    heard: Heard

    @property
    def succeeded(self) -> bool:
        return self.result.outcome is Outcome.SUCCEEDED

    @property
    def output(self) -> Any:
        return self.result.output

    @property
    def stderr(self) -> str:
        return self.heard.streams["stderr"]

    @property
    def stdout(self) -> str:
        return self.heard.streams["stdout"]

    @property
    def files(self) -> list[str]:
        return sorted(file.name for file in self.result.artifacts)

    def path(self, name: str) -> Path:
        return next(file.path for file in self.result.artifacts if file.name == name)

    def text(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")

    def rows(self, name: str) -> list[dict[str, str]]:
        with self.path(name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


RunExample = Callable[..., Run]


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Return a folder that all processes of this test run share and every user may enter.

    pytest's own folders are closed to the user ids that runs have when the tests run as root.
    """
    folder = folder_of_the_run() / "examples"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def interpreters(shared_folder: Path) -> Callable[[str], Path | None]:
    """Return a function: name of an example -> the interpreter with its requirements."""
    uid = FIRST_UID if os.geteuid() == 0 else None
    python = find_interpreter(uid, cache=shared_folder / "state" / "python")
    root = shared_folder / "environments"
    return lambda name: build_environment(EXAMPLES / name, root=root, python=python)


@pytest.fixture(scope="session")
def executor(shared_folder: Path) -> ScriptExecutor:
    return ScriptExecutor(state_folder=shared_folder / "state")


@pytest.fixture
def run_example(
    tmp_path: Path, interpreters: Callable[[str], Path | None], executor: ScriptExecutor
) -> RunExample:
    """Return run(name, inputs, files, timeout_s): files maps an input's name to an InputFile."""
    count = 0

    def run(
        name: str,
        inputs: dict[str, Any] | None = None,
        files: dict[str, InputFile] | None = None,
        timeout_s: float | None = None,
    ) -> Run:
        nonlocal count
        count += 1
        base = tmp_path / f"run-{count}"
        placed = {key: place_file(base / key, file) for key, file in (files or {}).items()}
        heard = Heard()
        request = make_request(name, inputs or {}, placed, interpreters(name))
        if timeout_s is not None:
            request.limits = request.limits.model_copy(update={"timeout_s": timeout_s})
        (base / "workdir").mkdir(parents=True)
        return Run(executor.execute(request, heard, workdir=base / "workdir"), heard)

    return run


def make_request(
    name: str, inputs: dict[str, Any], files: dict[str, Path], python: Path | None
) -> ExecutionRequest:
    """Return the run of an example as its manifest describes it. Raises InvalidInputs."""
    manifest = load_manifest(EXAMPLES / name)
    references = {key: path.name for key, path in files.items()}
    values = check_inputs(manifest.input_schema(), {**inputs, **references})
    return ExecutionRequest(
        execution_id="1",
        tenant="acme",
        kind="script",
        resource={
            "folder": str(EXAMPLES / name),
            "runtime": manifest.skill.runtime,
            "entry": manifest.skill.entry,
            "python": None if python is None else str(python),
        },
        inputs={key: value for key, value in values.items() if key not in files},
        input_files=files,
        limits=Limits(
            timeout_s=manifest.skill.timeout_s, memory_bytes=manifest.skill.memory_mb * MEBIBYTE
        ),
    )


def place_file(folder: Path, file: InputFile) -> Path:
    """Return the path of the file; a new one is written into folder."""
    if isinstance(file, Path):
        return file
    folder.mkdir(parents=True)
    name, data = file
    (folder / name).write_bytes(data)
    return folder / name


def sample(name: str) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the sample inputs of an example: plain values, and paths of its sample files."""
    folder = EXAMPLES / name / "samples"
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    files = {
        key: folder / inputs.pop(key)
        for key, field in load_manifest(EXAMPLES / name).inputs.items()
        if field.format == "file" and key in inputs
    }
    return inputs, files


def run_sample(run_example: RunExample, name: str, **changes: Any) -> Run:
    """Run name on its samples and require success."""
    inputs, files = sample(name)
    run = run_example(name, {**inputs, **changes}, files)
    assert run.succeeded, run.result.error
    assert run.stderr == ""
    return run


@pytest.fixture
def in_environment(interpreters: Callable[[str], Path | None]) -> Callable[..., str]:
    """Return call(name, code, *arguments): stdout of code run with the packages of an example."""

    def call(name: str, code: str, *arguments: object, stdin: str = "") -> str:
        command = [str(interpreters(name)), "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=CODE_S, check=True
        )
        return done.stdout

    return call


WRITE_WORKBOOK = """
import json, sys, openpyxl
book = openpyxl.Workbook()
for row in json.load(sys.stdin):
    book.active.append(row)
book.save(sys.argv[1])
"""
READ_WORKBOOK = """
import json, sys, openpyxl
rows = openpyxl.load_workbook(sys.argv[1]).active.iter_rows()
# A formula would have the type f; a day comes as midnight.
print(json.dumps([[c.value if c.data_type != "f" else "FORMULA" for c in row] for row in rows],
                 default=lambda day: day.date().isoformat()))
"""
COUNT_COLOURS = """
import json, sys
from PIL import Image
image = Image.open(sys.argv[1]).convert("RGB")
counted = image.getcolors(image.width * image.height)
print(json.dumps({"#%02x%02x%02x" % colour: count for count, colour in counted}))
"""


@pytest.fixture
def workbook(
    in_environment: Callable[..., str], tmp_path: Path
) -> Callable[[list[list[object]]], tuple[str, bytes]]:
    """Return make(rows): (file name, bytes) of a workbook."""

    def make(rows: list[list[object]]) -> tuple[str, bytes]:
        path = tmp_path / "book.xlsx"
        in_environment("clean-orders", WRITE_WORKBOOK, path, stdin=json.dumps(rows))
        return path.name, path.read_bytes()

    return make


@pytest.fixture
def cells(in_environment: Callable[..., str]) -> Callable[[Path], list[list[Any]]]:
    """Return read(path): the cells of a workbook's first sheet, days in ISO form."""
    return lambda path: json.loads(in_environment("clean-orders", READ_WORKBOOK, path))


@pytest.fixture
def colours(in_environment: Callable[..., str]) -> Callable[[Path], dict[str, int]]:
    """Return count(path): colour such as #2563eb -> number of pixels."""
    return lambda path: json.loads(in_environment("sales-report", COUNT_COLOURS, path))
