"""Runs an example the way the platform does: real environment, real harness, a process of its own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from executors.inputs import check_inputs
from executors.manifest import load_manifest
from executors.script import harness
from executors.script.environment import build_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUN_S = 60


@dataclass
class Run:
    """What a run of an example left behind."""

    exit_code: int
    stdout: str
    stderr: str
    output: Any
    """The JSON result; None without one."""
    folder: Path
    """The result files."""
    progress: list[str]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


RunExample = Callable[..., Run]


@pytest.fixture(scope="session")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function: name of an example -> the interpreter with its requirements."""
    # Shared by the workers of a parallel test run; building is guarded by a lock.
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "environments"
    own = Path(os.path.realpath(sys.executable))

    def interpreter(name: str) -> Path:
        return build_environment(EXAMPLES / name, root=root, python=own) or own

    return interpreter


@pytest.fixture
def run_example(tmp_path: Path, interpreters: Callable[[str], Path]) -> RunExample:
    """Return run(name, inputs, files): files maps an input to a path or to the bytes of a file."""
    count = 0

    def run(
        name: str,
        inputs: dict[str, Any] | None = None,
        files: dict[str, Path | tuple[str, bytes]] | None = None,
    ) -> Run:
        nonlocal count
        count += 1
        return execute(name, inputs or {}, files or {}, tmp_path / f"run-{count}", interpreters)

    return run


def execute(
    name: str,
    inputs: dict[str, Any],
    files: dict[str, Path | tuple[str, bytes]],
    base: Path,
    interpreters: Callable[[str], Path],
) -> Run:
    for part in ("work", "input", "output"):
        (base / part).mkdir(parents=True)
    manifest = load_manifest(EXAMPLES / name)
    paths = {key: place_file(base / "input" / key, file) for key, file in files.items()}
    values = check_inputs(manifest.input_schema(), {**inputs, **paths})
    (base / "input.json").write_text(json.dumps(values), encoding="utf-8")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "EXECFABRIC_INPUT": str(base / "input.json"),
        "EXECFABRIC_INPUT_DIR": str(base / "input"),
        "EXECFABRIC_OUTPUT_DIR": str(base / "output"),
        "EXECFABRIC_RESULT": str(base / "result.json"),
        "EXECFABRIC_PROGRESS": str(base / "progress"),
        "EXECFABRIC_EXECUTION_ID": "1",
        "EXECFABRIC_TENANT": "acme",
    }
    if manifest.skill.runtime == "shell":
        command = ["bash", str(EXAMPLES / name / "main.sh")]
        environment |= {
            f"INPUT_{key.upper()}": str(value) for key, value in values.items() if value is not None
        }
    else:
        interpreter = str(interpreters(name))
        command = [interpreter, "-B", harness.__file__, str(EXAMPLES / name), "main.py"]
    done = subprocess.run(
        command, cwd=base / "work", env=environment, capture_output=True, text=True,
        timeout=RUN_S, check=False,
    )  # fmt: skip
    result, progress = base / "result.json", base / "progress"
    return Run(
        exit_code=done.returncode,
        stdout=done.stdout,
        stderr=done.stderr,
        output=json.loads(result.read_text(encoding="utf-8")) if result.exists() else None,
        folder=base / "output",
        progress=progress.read_text(encoding="utf-8").splitlines() if progress.exists() else [],
    )


def place_file(folder: Path, file: Path | tuple[str, bytes]) -> str:
    """Put the input file into folder under its own name and return its path."""
    folder.mkdir()
    name, data = (file.name, file.read_bytes()) if isinstance(file, Path) else file
    (folder / name).write_bytes(data)
    return str(folder / name)


@pytest.fixture
def in_environment(interpreters: Callable[[str], Path]) -> Callable[..., str]:
    """Return call(name, code, *arguments): stdout of code run with the packages of an example."""

    def call(name: str, code: str, *arguments: object, stdin: str = "") -> str:
        command = [str(interpreters(name)), "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=RUN_S, check=True
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
