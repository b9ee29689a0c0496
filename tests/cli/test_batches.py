"""batch against scripted answers: what it sends, what a person reads, how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.exit_codes import ExitCode
from tests.cli.conftest import Answer
from tests.cli.test_run import Capture, Serve, exit_code_of, paths_of, token

__all__ = ["token"]
SKILL: Answer = (
    200,
    {},
    {"name": "greet", "input_schema": {"properties": {"times": {"type": "integer"}}}},
)
FILE: Answer = (201, {}, {"id": "f-1"})
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def batch(status: str, **counts: int) -> Answer:
    known = {"total": 2, "invalid": 0, "waiting": 0, "sent": 0, "succeeded": 0, "failed": 0}
    document: dict[str, Any] = {
        "id": "b-1",
        "skill": "greet",
        "status": status,
        "risk": "high",
        "fraction": 0.5,
        "counts": {**known, **counts},
    }
    if counts.get("invalid"):
        document["errors"] = [{"row": 3, "errors": {"times": "must be a whole number"}}]
    return 200, {}, document


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "people.csv"
    path.write_text("name\nAda\n")
    return str(path)


def test_a_table_is_checked_started_followed_and_saved(
    serve: Serve, table: str, tmp_path: Path
) -> None:
    server = serve(
        *(SKILL, FILE, batch("draft", waiting=2), batch("running", sent=2)),
        *(batch("running", sent=1, succeeded=1), batch("finished", succeeded=2)),
        (200, {}, b"row,status\n"),
        (200, {}, EMPTY_ZIP),
    )
    out = tmp_path / "out"

    code = exit_code_of(
        *("batch", "submit", "greet", table, "--map", "name=Who", "--input", "times=2"),
        *("--download", str(out), "--url", server.url()),
    )

    assert code == ExitCode.SUCCEEDED
    sent = json.loads(server.received[2].body)
    assert sent == {
        "skill": "greet",
        "inputs": {"times": 2},
        "file": "f-1",
        "mapping": {"name": "Who"},
    }
    assert paths_of(server)[3:] == [
        *("batches/b-1/start", "batches/b-1", "batches/b-1"),
        *("batches/b-1/result.csv", "batches/b-1/artifacts.zip"),
    ]
    assert (out / "greet-b-1.csv").read_bytes() == b"row,status\n"
    assert (out / "greet-b-1.zip").read_bytes() == EMPTY_ZIP


def test_rows_with_errors_stop_it_before_anything_runs(
    serve: Serve, table: str, capsys: Capture
) -> None:
    server = serve(SKILL, FILE, batch("draft", waiting=1, invalid=1))

    code = exit_code_of("batch", "submit", "greet", table, "--url", server.url())

    assert code == ExitCode.INVALID_INPUTS
    said = capsys.readouterr().err
    assert "times must be a whole number" in said
    assert "batch start b-1 --skip-invalid" in said
    assert paths_of(server)[-1] == "batches"


def test_several_files_are_one_run_each(serve: Serve, table: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("x")
    server = serve(SKILL, FILE, FILE, batch("draft", waiting=2), batch("running", sent=2))

    code = exit_code_of(
        *("batch", "submit", "greet", table, str(other), "--no-wait", "--url", server.url())
    )

    assert code == ExitCode.SUCCEEDED
    assert json.loads(server.received[3].body)["files"] == ["f-1", "f-1"]


def test_a_batch_that_waits_for_a_confirmation_says_so(
    serve: Serve, table: str, capsys: Capture
) -> None:
    server = serve(SKILL, FILE, batch("draft", waiting=2), batch("awaiting_confirmation"))

    code = exit_code_of("batch", "submit", "greet", table, "--url", server.url())

    assert code == ExitCode.NEEDS_A_PERSON
    assert "batch confirm b-1" in capsys.readouterr().err


def test_yes_confirms_it(serve: Serve, table: str) -> None:
    server = serve(
        *(SKILL, FILE, batch("draft", waiting=2), batch("awaiting_confirmation", waiting=2)),
        batch("finished", succeeded=2),
    )

    code = exit_code_of("batch", "submit", "greet", table, "--yes", "--url", server.url())

    assert code == ExitCode.SUCCEEDED
    assert paths_of(server)[-1] == "batches/b-1/confirm"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (batch("finished", succeeded=1, failed=1), ExitCode.FAILED),
        (batch("cancelled"), ExitCode.CANCELLED),
        (batch("rejected"), ExitCode.ENDED_WITHOUT_RESULT),
        (batch("paused"), ExitCode.NEEDS_A_PERSON),
    ],
)
def test_the_end_of_a_batch_is_its_exit_code(serve: Serve, answer: Answer, code: ExitCode) -> None:
    server = serve(answer)

    assert exit_code_of("batch", "follow", "b-1", "--url", server.url()) == code


def test_a_batch_that_is_not_there_is_named(serve: Serve, capsys: Capture) -> None:
    server = serve((404, {}, {"code": "not_found", "message": "There is nothing here."}))

    code = exit_code_of("batch", "status", "b-2", "--url", server.url())

    assert code == ExitCode.NOT_FOUND
    assert "There is no batch 'b-2'" in capsys.readouterr().err
