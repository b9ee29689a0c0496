"""Nothing a hostile row tries reaches the process that serves rows, or the row after it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from executors.contract import MEBIBYTE, Outcome
from executors.script.executor import ScriptExecutor
from tests.executors.script.warm.rows import Rows
from tests.security.sandbox.conftest import SOMEBODY, call_as
from tests.security.sandbox.row_attacks import PROBE, REACHES, TOOLS
from tests.security.sandbox.row_leavings import (
    CHANGES,
    LEAVES,
    OF_A_FOLDERS_OWNER,
    REMEMBERS,
    SEARCHES,
)

LIMITS = {
    "timeout_s": 20, "processes": 30, "disk_bytes": 16 * MEBIBYTE, "disk_files": 10_000,
    "memory_bytes": 256 * MEBIBYTE,
}  # fmt: skip


@dataclass
class Answer:
    place: str
    answer: Any
    log: str


class Series:
    """Runs rows in a process of their worker's user, as long as it is open."""

    def __init__(self, channel: socket.socket) -> None:
        self.stream = channel.makefile("rw")
        self.clean = self.run(PROBE)[0].answer
        """What a row finds in a sandbox that is new."""
        self.alone = self.run((PROBE, {"series": ""}))[0].answer
        """What a run by itself finds."""

    def run(self, *codes: str | tuple[str, dict[str, Any]]) -> list[Answer]:
        """Run codes as rows of a new series, some with more of a request; the last must succeed."""
        asked = [(code, {}) if isinstance(code, str) else code for code in codes]
        told = self._ask([(dedent(TOOLS) + dedent(code), more) for code, more in asked])
        assert told[-1]["outcome"] == Outcome.SUCCEEDED, told
        return [Answer(*each["output"] or ("", each), each["log"]) for each in told]

    def _ask(self, asked: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        print(json.dumps(asked), file=self.stream, flush=True)
        told: list[dict[str, Any]] = json.loads(self.stream.readline())
        return told


def serve(channel: socket.socket, theirs: socket.socket, open_folder: Path) -> None:
    """Be the worker."""
    theirs.close()
    state = open_folder / f"state-{os.geteuid()}"
    executor = ScriptExecutor(state_folder=state, memory_groups=False)
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    folder.chmod(0o755)
    rows = Rows(executor, folder)
    stream = channel.makefile("rw")
    for line in stream:
        series, told = uuid.uuid4().hex, []
        for code, more in json.loads(line):
            row = rows(code, **{"series": series, "limits": LIMITS, **more})
            told.append({
                "output": row.result.output, "outcome": row.result.outcome,
                "stop_reason": row.result.stop_reason, "error": row.result.error,
                "log": row.sink.text()[-1000:],
            })  # fmt: skip
        print(json.dumps(told), file=stream, flush=True)
    executor.close()


@pytest.fixture(
    scope="module",
    params=["as the worker", pytest.param("as somebody", marks=pytest.mark.skipif(
        os.geteuid() != 0, reason="only root can be somebody else"))],
)  # fmt: skip
def series(
    request: pytest.FixtureRequest, open_folder: Path, base_python: Path
) -> Iterator[Series]:
    user = SOMEBODY if request.param == "as somebody" else os.geteuid()
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as threads:
        worker = threads.submit(
            call_as, user, base_python, lambda: serve(theirs, ours, open_folder)
        )
        yield Series(ours)
        ours.shutdown(socket.SHUT_RDWR)
        worker.result(timeout=60)


@pytest.mark.parametrize("name", REACHES)
def test_it_reaches_nothing(series: Series, name: str) -> None:
    attacker, after = series.run(REACHES[name], PROBE)

    assert attacker.answer == []
    assert after.place == attacker.place
    assert after.answer == series.clean


@pytest.mark.parametrize("name", LEAVES)
def test_nothing_it_leaves_is_found_by_the_next(series: Series, name: str) -> None:
    first, attacker, after, last = series.run("pass", LEAVES[name], PROBE, "pass")

    assert "Traceback" not in attacker.log
    assert after.answer == series.clean
    assert last.place == after.place == first.place, "the sandbox was not cleaned but replaced"


@pytest.mark.parametrize("name", CHANGES)
def test_what_it_changes_is_noticed(series: Series, name: str) -> None:
    """Then the next row runs by itself, and the one after it in another sandbox."""
    attacker, after, last = series.run(CHANGES[name], PROBE, PROBE)

    assert attacker.answer == []
    assert (after.answer, last.answer) == (series.alone, series.clean)
    assert len({attacker.place, after.place, last.place}) == 3


@pytest.mark.parametrize("name", OF_A_FOLDERS_OWNER)
def test_no_folder_is_replaced(series: Series, name: str) -> None:
    """Where the worker is no root, the folders' own folder belongs to the row's user."""
    attacker, after = series.run(OF_A_FOLDERS_OWNER[name], PROBE)

    assert attacker.answer in ("done", "denied")
    assert after.answer == (series.alone if attacker.answer == "done" else series.clean)
    assert (after.place == attacker.place) is (attacker.answer == "denied")


def test_no_memory_holds_what_a_row_was_given_or_left(series: Series) -> None:
    secret, never = (f"{color}-{uuid.uuid4().hex}" for color in ("amber", "ivory"))
    keeps = REMEMBERS, {"inputs": secret[::-1], "secrets": {"key": secret}}
    kept, searched = series.run(keeps, (SEARCHES, {"inputs": secret[::-1]}))
    _, control = series.run("pass", (SEARCHES, {"inputs": never[::-1]}))

    assert kept.place == searched.place
    assert kept.answer == len(secret)
    assert searched.answer == control.answer > 0
