"""Packages imported once count once for the memory limit of a row, whoever the worker is."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from executors.contract import MEBIBYTE, StopReason
from executors.script.executor import ScriptExecutor
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
