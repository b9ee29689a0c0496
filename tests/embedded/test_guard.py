"""The guard ends with its command, and its command's whole tree with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from execfabric.embedded import guard
from tests.embedded.process_table import processes_of, wait_for

LEAVES_A_GRANDCHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
"""


def guarded(code: str, folder: Path, program: str = sys.executable) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, program, "-c", code],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_exit_code_is_the_commands(folder: Path, code: str, expected: int) -> None:
    assert guarded(code, folder).wait(60) == expected


def test_grandchildren_do_not_outlive_the_command(folder: Path) -> None:
    assert guarded(LEAVES_A_GRANDCHILD, folder).wait(60) == 0
    assert processes_of(folder) == []


def test_cutting_the_lifeline_ends_all(folder: Path) -> None:
    process = guarded(f"{LEAVES_A_GRANDCHILD}\nimport time; time.sleep(600)", folder)
    wait_for(lambda: len(processes_of(folder)) == 3, "guard, command, grandchild")
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(60) == 137
    assert processes_of(folder) == []


def test_a_killed_guard_takes_its_command_along(folder: Path) -> None:
    process = guarded("import time; time.sleep(600)", folder)
    wait_for(lambda: len(processes_of(folder)) == 2, "guard and command")
    process.kill()
    process.wait()

    wait_for(lambda: processes_of(folder) == [], "the command gone")


def test_a_command_that_does_not_exist_is_named(folder: Path) -> None:
    process = guarded("", folder, program="/no/such/program")

    assert process.wait(60) == 127
    assert process.stderr is not None
    assert b"Cannot start /no/such/program" in process.stderr.read()
