"""What packages put into an environment runs in the sandbox, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.script.executor import ScriptExecutor
from tests.executors.conftest import MakeFolder, RecordingSink, request_for


@pytest.mark.usefixtures("may_start_cold")
def test_a_program_in_place_of_the_interpreter_is_not_started_by_the_worker(
    executor: ScriptExecutor, make_folder: MakeFolder, tmp_path: Path
) -> None:
    if not executor.level.hides_machine:
        pytest.skip("at this level nothing is hidden from a run either")
    reached = tmp_path / "reached"
    python = tmp_path / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {reached}\necho 3 11\n")
    python.chmod(0o755)
    folder = make_folder(main__py="def main():\n    return 1\n")

    executor.execute(request_for(folder, python=python), RecordingSink(), workdir=tmp_path / "work")

    assert not reached.exists()
