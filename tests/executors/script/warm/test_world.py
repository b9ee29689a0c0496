"""What a zygote's runs depend on may end or change at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from executors.contract import Outcome
from executors.script.tree import descendants
from executors.script.warm import pool
from executors.script.warm.world import Guard
from tests.executors.conftest import MakeFolder, RecordingSink, request_for
from tests.executors.script.test_limits import wait_until
from tests.executors.script.warm.conftest import MakeExecutor
from tests.executors.script.warm.test_pool import is_gone, run_for


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder("hello", main__py="print('hello')\n")


def test_a_run_goes_on_when_the_helper_ends_and_the_zygote_follows(
    make_executor: MakeExecutor, folder: Path
) -> None:
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    slow = folder.parent / "slow"
    slow.mkdir(mode=0o755)
    (slow / "main.py").write_text("import time\n\n\ndef main():\n    time.sleep(2)\n    return 1\n")

    class KillingSink(RecordingSink):
        def alive(self) -> bool:
            with suppress(ProcessLookupError):
                os.kill(min(descendants(zygote)), signal.SIGKILL)
            return True

    workdir = folder.parent / "helperless"
    workdir.mkdir()
    result = executor.execute(request_for(slow), KillingSink(), workdir=workdir)

    assert result.outcome is Outcome.SUCCEEDED
    assert result.output == 1
    run_for(executor, folder)
    wait_until(lambda: is_gone(zygote))


def test_a_guard_nobody_has_waited_for_is_gone() -> None:
    process = subprocess.Popen(["true"])
    guard = Guard(process.pid, os.pidfd_open(process.pid), 0)
    try:
        wait_until(guard.is_gone)
    finally:
        process.wait()
        os.close(guard.descriptor)


def test_an_environment_that_was_built_anew_gets_another_zygote(tmp_path: Path) -> None:
    python, environment = Path("/usr/bin/env"), tmp_path / "environment" / "bin" / "python"
    environment.parent.mkdir(parents=True)
    before = pool._identity_of(python, environment)
    (tmp_path / "environment").rename(tmp_path / "old")
    environment.parent.mkdir(parents=True)

    assert pool._identity_of(python, environment) != before
