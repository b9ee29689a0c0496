"""``inbox``: what waits for the person at the terminal."""

from __future__ import annotations

import json

import pytest

from cli.main import main

WAITING = {
    "kind": "execution",
    "id": "01980000-0000-7000-8000-000000000001",
    "act": "approve",
    "title": "Delete old orders",
    "risk": "high",
    "asked_by": "oscar",
    "reason": "Month end",
    "since": "2026-11-26T06:00:00Z",
    "until": "2026-11-27T06:00:00Z",
    "is_overdue": True,
    "url": "http://acme.localhost/executions/01980000-0000-7000-8000-000000000001/",
}


@pytest.fixture
def run(monkeypatch, capsys):
    def call(server, *words):
        monkeypatch.setenv("EXECFABRIC_TOKEN", "a-token")
        code = 0
        try:
            main([*words, "--url", server.url()])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, capsys.readouterr()

    return call


def test_it_lists_what_waits_and_says_what_comes_next(serve, run):
    code, said = run(serve((200, {}, {"count": 1, "results": [WAITING]})), "inbox")

    assert code == 0
    assert "Delete old orders" in said.out
    assert "approve" in said.out
    assert f"status {WAITING['id']}" in said.err


def test_of_a_batch_it_names_the_commands_of_batches(serve, run):
    batch = {**WAITING, "kind": "batch"}
    _, said = run(serve((200, {}, {"count": 1, "results": [batch]})), "inbox")

    assert "batch approve" in said.out
    assert f"batch status {WAITING['id']}" in said.err


def test_it_says_that_nothing_waits(serve, run):
    code, said = run(serve((200, {}, {"count": 0, "results": []})), "inbox")

    assert code == 0
    assert "Nothing waits for you" in said.err


def test_with_json_it_prints_the_answer(serve, run):
    _, said = run(serve((200, {}, {"count": 1, "results": [WAITING]})), "--json", "inbox")

    assert json.loads(said.out)["results"] == [WAITING]


def test_an_answer_that_is_no_inbox_is_an_error(serve, run):
    code, _ = run(serve((200, {}, {"results": "none"})), "inbox")

    assert code != 0


def test_an_approval_that_is_not_the_last_says_so(serve, run):
    waiting = {"id": WAITING["id"], "status": "awaiting_approval"}

    _, said = run(serve((200, {}, waiting)), "approve", WAITING["id"])

    assert "waits for others, too" in said.out
