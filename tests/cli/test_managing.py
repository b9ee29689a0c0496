"""versions, changes, use, rollback, edit, enable, disable, grants against scripted answers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cli import main as program
from cli.exit_codes import ExitCode
from tests.cli.conftest import Answer, TinyServer

Serve = Callable[..., TinyServer]
Capture = pytest.CaptureFixture[str]
STATE = {"name": "pay", "enabled": True, "version": 2, "pinned": True, "disabled_reason": ""}
GRANTS = {"results": [{"kind": "group", "who": "Night shift", "right": "run"}], "seen": "a"}
CHANGES = {
    "description": [{"name": "risk", "old": "low", "new": "high", "is_rule": True}],
    "inputs": [{"name": "who", "what": "added", "fields": []}],
    "outputs": [],
    "packages": [{"name": "six", "old": "", "new": "1.17"}],
    "code_differs": True,
    "files": [
        {"path": "main.py", "what": "changed", "diff": "--- a\n+++ b\n-\x1b[2Jone", "note": ""}
    ],
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


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (
            ["use", "pay", "2", "--reason", "Good.", "--keep", "--expected", "3"],
            "bind",
            {"version": 2, "pin": True, "reason": "Good.", "expected": 3},
        ),
        (["rollback", "pay", "--reason", "Bad."], "rollback", {"reason": "Bad."}),
        (
            ["edit", "pay", "--title", "Pay", "--tag", "a", "--tag", "b", "--reason", "Clearer."],
            "edit",
            {"changes": {"title": "Pay", "tags": ["a", "b"]}, "reason": "Clearer."},
        ),
        (
            ["edit", "pay", "--confirm", "--no-manual", "--reason", "Safer.", "--expected", "1"],
            "edit",
            {"changes": {"confirm": True, "manual": False}, "reason": "Safer.", "expected": 1},
        ),
        (["enable", "pay", "--reason", "Mended."], "enable", {"reason": "Mended."}),
        (["disable", "pay", "--reason", "Broken."], "disable", {"reason": "Broken."}),
    ],
)
def test_an_act_is_sent_with_its_reason_and_says_how_it_stands(
    serve: Serve, capsys: Capture, words: list[str], path: str, body: dict[str, object]
) -> None:
    server = serve((200, {}, STATE))

    assert run(*words, "--url", server.url()) == 0

    assert server.received[0].path == f"/api/v1/skills/pay/{path}"
    assert json.loads(server.received[0].body) == body
    assert "version 2, kept, enabled" in capsys.readouterr().out


def test_texts_of_inputs_are_named_by_input_and_word(serve: Serve) -> None:
    server = serve((200, {}, STATE))
    words = ["--input-text", "who.title=Whom = to pay", "--input-text", 'who.examples=["Ada", 1]']

    assert run("edit", "pay", *words, "--reason", "Clearer.", "--url", server.url()) == 0

    assert json.loads(server.received[0].body)["changes"] == {
        "inputs": {"who": {"title": "Whom = to pay", "examples": ["Ada", 1]}}
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say what to change"),
        (["--input-text", "title=x"], "INPUT.WORD=TEXT"),
        (["--input-text", "who.type=x"], "INPUT.WORD=TEXT"),
        (["--input-text", "who.title"], "INPUT.WORD=TEXT"),
        (["--input-text", "who.examples=Ada"], "JSON list"),
    ],
)
def test_an_edit_that_says_nothing_or_nonsense_is_not_sent(
    serve: Serve, capsys: Capture, words: list[str], said: str
) -> None:
    server = serve((200, {}, STATE))

    assert run("edit", "pay", *words, "--reason", "So.", "--url", server.url()) == ExitCode.USAGE

    assert not server.received
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("word", "key"), [("grant", "give"), ("revoke", "take")])
def test_rights_are_named_by_role_group_or_user(
    serve: Serve, capsys: Capture, word: str, key: str
) -> None:
    server = serve((200, {}, GRANTS))
    words = [word, "pay", "see", "run", "--group", "Night shift", "--reason", "So."]

    assert run(*words, "--url", server.url()) == 0

    assert json.loads(server.received[0].body) == {
        key: [{"kind": "group", "who": "Night shift", "right": right} for right in ("see", "run")],
        "reason": "So.",
    }
    assert "Night shift" in capsys.readouterr().out


@pytest.mark.parametrize("who", [[], ["--role", "viewer", "--user", "ada"]])
def test_one_of_them_must_be_named(serve: Serve, capsys: Capture, who: list[str]) -> None:
    server = serve((200, {}, GRANTS))

    code = run("grant", "pay", "see", *who, "--reason", "So.", "--url", server.url())

    assert code == ExitCode.USAGE
    assert not server.received
    assert "--role, --group and --user" in capsys.readouterr().err


def test_differences_are_shown_without_what_a_terminal_would_obey(
    serve: Serve, capsys: Capture
) -> None:
    server = serve((200, {}, CHANGES))

    assert run("changes", "pay", "1", "--url", server.url()) == 0

    said = capsys.readouterr().out
    assert "risk: low -> high" in said
    assert "input who: added" in said
    assert "package six: none -> 1.17" in said
    assert "+++ b" in said
    assert "\x1b" not in said


def test_who_may_not_see_versions_is_told_so(serve: Serve, capsys: Capture) -> None:
    missing: Answer = (404, {}, {"code": "not_found", "message": "There is nothing here."})

    assert run("versions", "pay", "--url", serve(missing).url()) != 0

    assert "whose versions or rights you may see" in capsys.readouterr().err


def test_the_history_names_what_is_in_use(serve: Serve, capsys: Capture) -> None:
    rows = [
        {"number": 3, "in_use": False, "changed": [], "author": "", "note": "",
         "published": False},
        {"number": 2, "in_use": False, "changed": ["Code"], "author": "dana", "note": "",
         "withdrawn": "It deletes too much."},
        {"number": 1, "in_use": True, "changed": [], "author": "", "note": "First."},
    ]  # fmt: skip
    server = serve((200, {}, {"results": rows, "next_before": 1}))

    assert run("versions", "pay", "--url", server.url()) == 0

    said = capsys.readouterr()
    assert "in use" in said.out
    assert "2  withdrawn" in said.out
    assert "3  only registered" in said.out
    assert "Code" in said.out
    assert "--limit" in said.err
