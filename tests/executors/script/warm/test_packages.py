"""Packages that are imported once for all rows, and that rows are none the wiser."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executors.script import process
from tests.executors.conftest import RecordingSink
from tests.executors.script.warm.rows import Row, Rows

KNOWN, UNKNOWN = "idna", "surely_unknown"
ENTRY = """
import os

import {name}


def main(code: str, inputs: object) -> list:
    names = {{"package": {name}, "answer": None}}
    exec(code, names)
    return ["", {name}.IMPORTED_BY == os.getpid(), names["answer"]]
"""
PACKAGE = "import os\nIMPORTED_BY = os.getpid()\n"
NAMES_THE_WORKER = """
import socket, sys

frame = sys._getframe()
while frame and not hasattr(frame.f_locals.get("self"), "channel"):
    frame = frame.f_back
if frame:
    serving = frame.f_locals["self"]
    worker = serving.channel.getsockopt(socket.SOL_SOCKET, 77)  # SO_PEERPIDFD
    os.dup2(worker, 0)
    os.close(worker)
    known = type(serving).serve.__globals__

    def name_the_worker(report, own, owner, send_room=known["send_room"]):
        os.close(own)
        send_room(report, os.dup(0), owner)
        os._exit(1)

    known["send_room"] = name_the_worker
"""

MakeRows = Callable[..., Callable[..., list[Any]]]


@pytest.fixture
def in_environment(rows: Rows, open_folder: Path) -> MakeRows:
    """Return a maker of environments with one package; what it makes runs a row there, and returns
    whether that imported the package itself, and what it answered."""

    def make(
        name: str = KNOWN, package: str = "", entry: str = ENTRY, **files: str
    ) -> Callable[..., list[Any]]:
        environment = Path(tempfile.mkdtemp(dir=open_folder)) / "environment"
        base = rows.executor.base_python().resolve()
        subprocess.run([base, "-m", "venv", "--without-pip", "--symlinks", environment], check=True)
        packages = next((environment / "lib").glob("python3*")) / "site-packages"
        (packages / f"{name}.py").write_text(PACKAGE + package)
        (packages / "odd.py").write_text("")
        folder = Path(tempfile.mkdtemp(dir=open_folder))
        folder.chmod(0o755)
        for file, text in {"main": entry.format(name=name), **files}.items():
            place = packages if file == "sitecustomize" else folder
            (place / f"{file}.py").write_text(text)

        def run(code: str = "", **request: Any) -> list[Any]:
            row: Row = rows(code, folder=folder, python=environment / "bin" / "python", **request)
            assert isinstance(row.result.output, list), (row.result, row.sink.text())
            return [*row.result.output[1:], row.sink.text()]

        return run

    return make


def test_a_known_one_is_imported_once(in_environment: MakeRows) -> None:
    run = in_environment()

    assert [run("answer = 1") for _ in range(3)] == [[False, 1, ""]] * 3
    assert run("answer = 1", series="")[0] is True


def test_an_unknown_one_is_imported_by_each_row(in_environment: MakeRows) -> None:
    run = in_environment(UNKNOWN)

    assert [run()[0] for _ in range(3)] == [True] * 3


def test_what_a_row_does_to_it_is_gone_with_the_row(in_environment: MakeRows) -> None:
    run = in_environment()
    run("package.left = 'secret'\npackage.os.environ['LEFT'] = 'x'")

    assert run("answer = [hasattr(package, 'left'), 'LEFT' in package.os.environ]") == [
        False, [False, False], "",
    ]  # fmt: skip


def test_rows_draw_different_random_numbers(in_environment: MakeRows) -> None:
    run = in_environment(package="import random\nFIRST = random.random()\n")
    drawn = [run("answer = package.random.random()")[:2] for _ in range(3)]

    assert {by_itself for by_itself, _ in drawn} == {False}
    assert len({number for _, number in drawn}) == 3


def test_it_is_asked_for_its_forks(in_environment: MakeRows) -> None:
    """A package may want to know of the script's own forks, of none before."""
    run = in_environment(
        package="FORKS = []\nos.register_at_fork(after_in_child=lambda: FORKS.append(1))\n"
    )
    code = """
        import os
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, bytes([len(package.FORKS)]))
            os._exit(0)
        answer = [len(package.FORKS), os.read(reader, 1)[0]]
    """

    assert [run(code) for _ in range(2)] == [[False, [0, 1], ""]] * 2


ODD = {
    "prints": "print('hello', flush=True)\n",
    "prints without flush": "print('hello')\n",
    "prints much": "os.write(1, b'x' * 1000 * 1000)\n",
    "warns": "import warnings\nwarnings.warn('beware')\n",
    "starts a thread": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
    "keeps a file open": "FILE = open(__file__)\n",
    "closes a file": "os.close(0)\n",
    "writes a file": "open('/tmp/left', 'w').close()\n",
    "starts a process": "import time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\n",
    "has others": "import odd\n",
    "has a limit": "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n",
}


@pytest.mark.parametrize("oddity", ODD)
def test_one_that_does_more_is_imported_by_each_row(in_environment: MakeRows, oddity: str) -> None:
    run = in_environment(package=ODD[oddity])
    alone = run(series="")

    assert alone[0] is True
    assert [run() for _ in range(3)] == [alone] * 3


def test_one_that_fails_fails_in_each_row(rows: Rows, in_environment: MakeRows) -> None:
    entry = """
        try:
            import {name}
        except ValueError as error:
            failed = str(error)

        def main(code: str, inputs: object) -> list:
            return ["", failed]
    """.replace("\n        ", "\n")
    run = in_environment(package="raise ValueError('broken')\n", entry=entry)

    assert [run() for _ in range(2)] == [["broken", ""]] * 2


@pytest.mark.parametrize("name", ["650fdafa2468af73c11f__mypyc", "_cython_3_1_2", "cython_runtime"])
def test_what_its_compiler_adds_belongs_to_it(in_environment: MakeRows, name: str) -> None:
    run = in_environment(
        package=f"import sys, types\nsys.modules['{name}'] = types.ModuleType('{name}')\n"
    )

    assert [run() for _ in range(2)] == [[False, None, ""]] * 2


def test_one_beside_the_script_is_the_scripts(in_environment: MakeRows) -> None:
    run = in_environment(**{KNOWN: f"{PACKAGE}OWN = True\n"})

    assert [run("answer = package.OWN") for _ in range(2)] == [[True, True, ""]] * 2


def test_one_of_the_scripts_that_a_known_one_asks_for(in_environment: MakeRows) -> None:
    run = in_environment(package="import six\n", six="OWN = True\n")

    assert [run("answer = package.six.OWN") for _ in range(2)] == [[True, True, ""]] * 2


SAYS_BEFORE = {
    "where it comes from": "import sys\nsys.path.insert(0, '/job/script/vendor')\n",
    "what it finds": "import os\nos.environ['SAID'] = 'so'\n",
    "by a part of its own": "import own\n",
}


@pytest.mark.parametrize("what", SAYS_BEFORE)
def test_one_that_a_script_says_something_for_is_imported_after_that(
    in_environment: MakeRows, what: str
) -> None:
    entry = SAYS_BEFORE[what] + ENTRY
    run = in_environment(
        package="SAID = os.environ.get('SAID')\n", entry=entry, own=SAYS_BEFORE["what it finds"]
    )
    alone = run("answer = package.SAID, package.__file__", series="")

    assert alone[0] is True
    assert [run("answer = package.SAID, package.__file__") for _ in range(2)] == [alone] * 2


def test_one_is_imported_when_first_used(in_environment: MakeRows) -> None:
    entry = "import sys\n\nSOONER = '{name}' in sys.modules\n" + ENTRY
    run = in_environment(entry=entry)

    assert run("import main\nanswer = main.SOONER") == [True, False, ""]


def test_code_of_an_environment_is_run_by_each_row(in_environment: MakeRows) -> None:
    run = in_environment(sitecustomize="import os, sys\nsys.entered_by = os.getpid()\n")

    assert run("import os, sys\nanswer = sys.entered_by == os.getpid()") == [True, True, ""]


def test_one_that_is_not_there_is_missed_by_the_script(in_environment: MakeRows) -> None:
    entry = """
        try:
            import yaml
        except ImportError as error:
            missed = error.name

        def main(code: str, inputs: object) -> list:
            return ["", missed]
    """.replace("\n        ", "\n")
    run = in_environment(entry=entry)

    assert [run() for _ in range(2)] == [["yaml", ""]] * 2


def test_a_package_that_serves_rows_cannot_have_the_worker_killed(in_environment: MakeRows) -> None:
    """It may name any process as that of the sandbox, the one that asked it for rows, too."""
    run = in_environment(package=NAMES_THE_WORKER)
    killed = os.fork()
    if killed == 0:
        try:
            run("")
        finally:
            os._exit(0)

    assert os.waitpid(killed, 0)[1] == 0


def test_a_row_is_cancelled_while_they_are_imported(in_environment: MakeRows) -> None:
    run = in_environment(package="import time\ntime.sleep(60)\n")
    began_at = time.monotonic()
    with pytest.raises(AssertionError, match="CANCELLED"):
        run(sink=RecordingSink(cancel_after=1))

    assert time.monotonic() - began_at < process.BEGIN_PATIENCE_S / 2
