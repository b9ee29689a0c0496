"""Packages imported once count once for the memory limit of a row, whoever the worker is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from executors.contract import MEBIBYTE, StopReason
from executors.script.executor import ScriptExecutor
from executors.script.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from executors.script.tree import children_of
from executors.script.warm.run import MOST_LOOKS_UNSTARTED, WarmRun
from tests.executors.script.warm.rows import Rows
from tests.security.sandbox.conftest import SOMEBODY, call_as

PACKAGE = f"DATA = bytearray(b'x') * {120 * MEBIBYTE}\n"
ENTRY = """
import idna


def main(code: str, inputs: object) -> int:
    import time

    more = bytearray(b"x") * inputs
    time.sleep(0.3)
    return len(idna.DATA)
"""
LIMITS = {"timeout_s": 20, "memory_bytes": 200 * MEBIBYTE}


def run_rows(folder: Path) -> None:
    """Be the worker, and note how rows ended."""
    executor = ScriptExecutor(state_folder=folder / "state", memory_groups=False)
    environment = folder / "environment"
    base = executor.base_python().resolve()
    subprocess.run([base, "-m", "venv", "--without-pip", "--symlinks", environment], check=True)
    packages = next((environment / "lib").glob("python3*")) / "site-packages"
    (packages / "idna.py").write_text(PACKAGE)
    (folder / "rows").mkdir()
    rows = Rows(executor, folder / "rows")
    (rows.script / "main.py").write_text(ENTRY)
    python = environment / "bin" / "python"
    ended = [
        rows("", more * MEBIBYTE, python=python, limits=LIMITS).result.stop_reason
        for more in (1, 1, 150)
    ]
    (folder / "ended").write_text(json.dumps(ended))
    executor.close()


@pytest.mark.parametrize("is_root", [True, False], ids=["as the worker", "as somebody"])
def test_it_is_counted_once(open_folder: Path, base_python: Path, is_root: bool) -> None:
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    folder.chmod(0o777)
    user = os.geteuid() if is_root or os.geteuid() else SOMEBODY
    call_as(user, base_python, lambda: run_rows(folder))

    ended = json.loads((folder / "ended").read_text())
    assert ended == [StopReason.EXITED, StopReason.EXITED, StopReason.MEMORY_LIMIT]


def as_it_was() -> None:
    pass


def with_more() -> None:
    globals()["MORE"] = bytearray(b"x") * (100 * MEBIBYTE)


def shown() -> None:
    prctl(PR_SET_DUMPABLE, 1)
    os.setsid()


def count(begin: Callable[[], None]) -> int:
    """Return how much more counts when a process that serves rows has forked one, in MiB.

    begin: what the second one does first.
    """
    reader, writer = os.pipe()
    serving = os.fork()
    if serving == 0:
        prctl(PR_SET_DUMPABLE, 0)
        globals()["DATA"] = bytearray(b"x") * (120 * MEBIBYTE)
        if os.fork() == 0:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            begin()
            os.write(writer, b"ready")
        os.close(writer)
        signal.pause()
    os.close(writer)  # So that the end of both is heard.
    try:
        assert os.read(reader, 5) == b"ready"
        run = WarmRun(None, None)  # type: ignore[arg-type] - it is only asked to count
        run.order = {"rows": True, "uid": None}
        run.pid = serving
        used = run.bytes_of_all([serving, *children_of(serving)])
        return round((used - run.resident_bytes(serving)) / MEBIBYTE)
    finally:
        os.kill(serving, signal.SIGKILL)
        os.waitpid(serving, 0)


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (as_it_was, range(5)),
        (with_more, range(95, 105)),
        (os.setsid, range(60, 1000)),
        (shown, range(5)),
    ],
    ids=["not yet the script's", "and more", "a script that hides", "a script"],
)
def test_a_row_that_is_being_forked_shares_what_it_has(
    base_python: Path, begin: Callable[[], None], expected: range
) -> None:
    """It hides until the script gets it, so that nobody sees how much it shares."""
    user = SOMEBODY if os.geteuid() == 0 else os.geteuid()
    assert call_as(user, base_python, lambda: count(begin)) in expected


def looks_that_are_fooled() -> int:
    """Return how many looks believe in a process that never becomes a row's."""
    run = WarmRun(None, None)  # type: ignore[arg-type] - it is only asked to count
    run.pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        return sum(run.is_row_unstarted([run.pid, pid]) for _ in range(20))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_one_that_stays_in_the_session_counts_after_some_looks(base_python: Path) -> None:
    """A package may have taken ``setsid`` away from what serves rows."""
    assert call_as(os.geteuid(), base_python, looks_that_are_fooled) == MOST_LOOKS_UNSTARTED
