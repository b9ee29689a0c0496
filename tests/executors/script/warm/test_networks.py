"""Network namespaces that serve one run after another: nothing of the one before is in them."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executors.contract import Outcome
from executors.script.executor import ScriptExecutor
from tests.executors.conftest import MakeFolder, RecordingSink, request_for

TAKES_AND_LEAVES = """
import os
import socket
import time


def main(wait_s: float = 0) -> dict:
    taken = socket.socket(socket.AF_UNIX)
    taken.bind("\\0mine")
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.bind(("0.0.0.0", 5353))
    if os.fork() == 0:  # A daemon that keeps both.
        os.setsid()
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        time.sleep(60)
    time.sleep(wait_s)
    return {"network": os.readlink("/proc/self/ns/net")}
"""
RUNS = 6


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder("taker", main__py=TAKES_AND_LEAVES)


def network_of(executor: ScriptExecutor, folder: Path, **request: Any) -> str:
    tenant = request.pop("tenant", "acme")
    wanted = request_for(folder, **request).model_copy(update={"tenant": tenant})
    workdir = Path(tempfile.mkdtemp(dir=folder.parent))
    result = executor.execute(wanted, RecordingSink(), workdir=workdir)
    assert result.outcome is Outcome.SUCCEEDED, result.error
    assert isinstance(result.output, dict)
    return str(result.output["network"])


def test_one_run_after_another_has_it_and_finds_nothing_taken(
    executor: ScriptExecutor, folder: Path
) -> None:
    seen = [network_of(executor, folder) for _ in range(RUNS)]

    assert len(set(seen)) < RUNS
    assert Path("/proc/self/ns/net").readlink() not in map(Path, seen)


def test_no_two_runs_have_one_at_a_time(executor: ScriptExecutor, folder: Path) -> None:
    with ThreadPoolExecutor() as threads:
        asked = [
            threads.submit(network_of, executor, folder, inputs={"wait_s": 2}) for _ in range(3)
        ]

        assert len({each.result() for each in asked}) == len(asked)


def test_tenants_have_their_own(executor: ScriptExecutor, folder: Path) -> None:
    acme = {network_of(executor, folder) for _ in range(RUNS)}
    globex = {network_of(executor, folder, tenant="globex") for _ in range(RUNS)}

    assert not acme & globex


def test_a_run_that_may_use_it_has_none_of_those(executor: ScriptExecutor, folder: Path) -> None:
    without = {network_of(executor, folder) for _ in range(RUNS)}

    assert not without & {network_of(executor, folder, network=True) for _ in range(RUNS)}
