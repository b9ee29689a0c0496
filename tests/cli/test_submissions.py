"""submit, submissions and submission against scripted answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import main as program
from cli.commands import submissions
from cli.exit_codes import ExitCode
from tests.cli.conftest import Answer, TinyServer
from tests.factories.submissions import GREET

Serve = Callable[..., TinyServer]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECFABRIC_TOKEN", "t")
    monkeypatch.setattr(submissions, "LOOK_EVERY_S", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "greet"
    place.mkdir()
    for name, text in GREET.items():
        (place / name).write_text(text)
    return place


def exit_code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        program.main(words)
    code = caught.value.code
    return code if isinstance(code, int) else ExitCode.SUCCEEDED


def submission(status: str, *checks: dict[str, str], http: int = 200) -> Answer:
    revision: dict[str, Any] = {"number": 1, "digest": "abc", "checks": list(checks)}
    return http, {}, {"id": "s-1", "skill": "greet", "status": status, "revisions": [revision]}


def check(level: str, title: str, details: str) -> dict[str, str]:
    return {"check": "x", "level": level, "title": title, "details": details}


def test_a_folder_is_packed_sent_and_its_report_waited_for(
    serve: Serve, folder: Path, capsys: Capture
) -> None:
    passed = check("pass", "The entry file", "fine")
    server = serve(
        submission("checking", http=201), submission("checking"), submission("in_review", passed)
    )

    code = exit_code_of(
        "submit", str(folder), "--scenario", "Greets.", "--ai", "--wait", "--url", server.url()
    )

    assert code == ExitCode.SUCCEEDED
    sent = server.received[0]
    assert (sent.method, sent.path) == ("POST", "/api/v1/submissions")
    assert b'name="bundle"; filename="bundle.tar.gz"' in sent.body
    assert b'name="ai_callable"\r\n\r\ntrue' in sent.body
    assert b'name="manual"' not in sent.body
    assert "The entry file" in capsys.readouterr().out


def test_what_a_check_holds_back_ends_with_one_and_says_how_to_go_on(
    serve: Serve, folder: Path, capsys: Capture
) -> None:
    blocked = check("block", "The README", 'Add a heading "Input".')
    server = serve(submission("checking", http=201), submission("blocked", blocked))

    code = exit_code_of("submit", str(folder), "--scenario", "x", "--wait", "--url", server.url())

    said = capsys.readouterr()
    assert code == ExitCode.FAILED
    assert 'Add a heading "Input".' in said.out
    assert "--revise s-1" in said.err


def test_the_second_one_for_a_skill_says_how_to_revise_the_first(
    serve: Serve, folder: Path, capsys: Capture
) -> None:
    document = {"code": "already_submitted", "message": "There is one.",
                "fields": {"submission": "s-9"}}  # fmt: skip
    server = serve((409, {}, document))

    code = exit_code_of("submit", str(folder), "--scenario", "x", "--url", server.url())

    assert code == ExitCode.REFUSED
    assert "--revise s-9" in capsys.readouterr().err


def test_a_revision_goes_to_its_submission(serve: Serve, folder: Path) -> None:
    server = serve(submission("checking", http=201))

    exit_code_of("submit", str(folder), "--scenario", "x", "--revise", "s-1", "--url", server.url())

    assert server.received[0].path == "/api/v1/submissions/s-1/revisions"


def test_a_folder_that_is_none_of_a_script_is_not_sent(
    serve: Serve, folder: Path, capsys: Capture
) -> None:
    (folder / "main.py").unlink()
    server = serve(submission("checking"))

    code = exit_code_of("submit", str(folder), "--scenario", "x", "--url", server.url())

    assert code == ExitCode.USAGE
    assert "no main.py or main.sh" in capsys.readouterr().err
    assert server.received == []


def test_without_a_scenario_nothing_is_sent(serve: Serve, folder: Path) -> None:
    server = serve(submission("checking"))

    assert exit_code_of("submit", str(folder), "--url", server.url()) == ExitCode.USAGE
    assert server.received == []


def test_list_and_show(serve: Serve, capsys: Capture) -> None:
    remark = {"author": "sam", "text": "Why?\x1b[31m", "revision": 1}
    row = submission("in_review")[2]
    server = serve(
        (200, {}, {"results": [row], "next": None}), (200, {}, {**row, "remarks": [remark]})
    )

    exit_code_of("submissions", "--url", server.url())
    assert "greet" in capsys.readouterr().out
    exit_code_of("submission", "s-1", "--url", server.url(), "--json")
    said = capsys.readouterr()

    assert json.loads(said.out)["id"] == "s-1"
    assert "Why?" in said.err
    assert "\x1b[31m" not in said.err
