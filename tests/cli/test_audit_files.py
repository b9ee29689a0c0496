"""evidence, audit export, audit seals, sessions, tokens against scripted answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import main as program
from cli.exit_codes import ExitCode
from tests.cli.conftest import TinyServer

Serve = Callable[..., TinyServer]
Capture = pytest.CaptureFixture[str]
ID = "01980000-0000-7000-8000-000000000001"
ROW = {
    "handle": "0123456789abcdef0123",
    "address": "127.0.0.1",
    "agent": "execfabric-cli",
    "created_at": "2026-11-26T10:00:00Z",
    "started_at": "2026-11-26T10:00:00Z",
    "last_used_at": "2026-11-26T10:00:00Z",
    "last_seen_at": "2026-11-26T10:00:00Z",
    "is_this_one": True,
}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECFABRIC_TOKEN", "t")


def run(*words: str) -> int:
    try:
        program.main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_an_evidence_pack_is_saved_and_not_replaced_unasked(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = serve((200, {}, b'{"format":"x"}\n'))

    assert run("evidence", ID, "--url", server.url()) == 0
    assert run("evidence", ID, "--url", server.url()) == ExitCode.USAGE

    assert (tmp_path / f"evidence-{ID}.json").read_bytes() == b'{"format":"x"}\n'
    (asked,) = server.received
    assert (asked.method, asked.path) == ("GET", f"/api/v1/executions/{ID}/evidence")


def test_an_export_sends_its_filters(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, {}, b"id,at\n"))
    words = ["--form", "csv", "--actor", "oscar", "--act", "a.b.c", "--outcome", "refused"]
    file = tmp_path / "trail.csv"

    assert run("audit", "export", "-o", str(file), *words, "--url", server.url()) == 0

    (asked,) = server.received
    assert (asked.method, asked.path) == ("POST", "/api/v1/audit/export")
    assert json.loads(asked.body) == {
        "form": "csv", "actor": "oscar", "code": "a.b.c", "outcome": "refused",
    }  # fmt: skip
    assert file.read_bytes() == b"id,at\n"


def test_a_refused_export_leaves_no_file_and_says_what_to_do(
    serve: Serve, tmp_path: Path, capsys: Capture
) -> None:
    refusal = {"code": "proof_needed", "message": "Prove who you are.", "fields": {}}
    server = serve((403, {}, refusal))

    assert run("audit", "export", "-o", str(tmp_path / "x"), "--url", server.url()) != 0

    assert list(tmp_path.iterdir()) == []
    assert "Log in again" in capsys.readouterr().err
    assert run("audit", "export", "-o", str(tmp_path / "x"), "--form", "pdf") == ExitCode.USAGE


def test_seals_are_saved(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, {}, b"{}\n"))

    assert run("audit", "seals", "-o", str(tmp_path / "seals.jsonl"), "--url", server.url()) == 0

    assert server.received[0].path == "/api/v1/audit/seals.jsonl"
    assert (tmp_path / "seals.jsonl").read_bytes() == b"{}\n"


@pytest.mark.parametrize("name", ["sessions", "tokens"])
def test_own_access_is_listed_and_ended(serve: Serve, capsys: Capture, name: str) -> None:
    server = serve((200, {}, {"results": [ROW], "next": None}), (204, {}, b""))

    assert run(name, "--url", server.url()) == 0
    assert "this one" in capsys.readouterr().out
    assert run(name, "--end", ROW["handle"], "--url", server.url(), "--json") == 0

    assert [(one.method, one.path.partition("?")[0]) for one in server.received] == [
        ("GET", f"/api/v1/{name}"),
        ("DELETE", f"/api/v1/{name}/{ROW['handle']}"),
    ]
    assert json.loads(capsys.readouterr().out) == {"ended": ROW["handle"]}


def test_a_handle_that_nobody_has_is_told(serve: Serve, capsys: Capture) -> None:
    missing = {"code": "not_found", "message": "There is nothing here.", "fields": {}}
    server = serve((404, {}, missing))

    assert run("tokens", "--end", "abc", "--url", server.url()) != 0

    assert "You have no token 'abc'" in capsys.readouterr().err
