"""How calls fail and are repeated. What the platform answers is tested against the platform."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from cli.errors import CliError
from cli.exit_codes import ExitCode
from tests.cli.conftest import Answer, TinyServer

Serve = Callable[..., TinyServer]
BUSY: Answer = (503, {}, {})


def error_from(call: Callable[[], Any]) -> CliError:
    with pytest.raises(CliError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (400, ExitCode.INVALID_INPUTS),
        (401, ExitCode.NOT_LOGGED_IN),
        (403, ExitCode.REFUSED),
        (404, ExitCode.NOT_FOUND),
        (409, ExitCode.REFUSED),
        (413, ExitCode.INVALID_INPUTS),
        (500, ExitCode.UNREACHABLE),
    ],
)
def test_an_error_answer_keeps_its_words_and_gets_an_exit_code(
    serve: Serve, status: int, exit_code: ExitCode
) -> None:
    body = {"code": "why", "message": "Because\x1b[2J.", "fields": {"month": ["too big", "odd"]}}
    server = serve((status, {"X-Request-ID": "req-7"}, body))

    error = error_from(lambda: Client(server.url()).confirm("e1"))

    assert error.exit_code == exit_code
    assert "Because" in error.message
    assert "\x1b" not in error.message
    assert error.code == "why"
    assert error.request_id == "req-7"
    if status < 500:
        assert error.fields == {"month": "too big; odd"}


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b"[" * 100_000, b'{"a":\xff}'])
def test_an_answer_that_is_not_ours_is_told_in_one_sentence(serve: Serve, body: bytes) -> None:
    server = serve((200, {}, body))

    error = error_from(Client(server.url()).me)

    assert error.exit_code == ExitCode.UNREACHABLE
    assert "does not answer like an ExecFabric server" in error.message


def test_a_read_is_repeated_until_the_server_is_back(serve: Serve) -> None:
    server = serve(BUSY, BUSY, (200, {}, {"username": "al"}))
    told: list[str] = []

    assert Client(server.url(), on_retry=told.append).me() == {"username": "al"}
    assert len(server.received) == 3
    assert len(told) == 2


def test_a_request_to_run_is_repeated_with_the_same_key(serve: Serve) -> None:
    server = serve(BUSY, (201, {}, {"id": "e1"}))

    Client(server.url()).start({"skill": "s", "inputs": {}}, idempotency_key="key-1")

    assert [got.headers["Idempotency-Key"] for got in server.received] == ["key-1", "key-1"]
    assert server.received[0].body == server.received[1].body


def test_a_write_without_a_key_is_sent_once(serve: Serve) -> None:
    server = serve(BUSY, (200, {}, {}))

    error_from(lambda: Client(server.url()).confirm("e1"))

    assert len(server.received) == 1


def test_a_refusal_is_not_repeated(serve: Serve) -> None:
    server = serve((403, {}, {"message": "No."}))

    error_from(Client(server.url()).me)

    assert len(server.received) == 1


def test_a_server_that_asks_for_more_time_than_we_have_is_not_waited_for(serve: Serve) -> None:
    server = serve((429, {"Retry-After": "3600"}, {"message": "Slowly."}))

    assert error_from(Client(server.url()).me).message == "Slowly."


def test_nobody_listening_is_told_with_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://acme.localhost:{free.getsockname()[1]}"

        error = error_from(lambda: Client(url).execution("e1", patience_s=0))

    assert error.exit_code == ExitCode.UNREACHABLE
    assert url in error.message


def test_plain_http_behind_an_https_address_is_told_plainly(serve: Serve) -> None:
    server = serve((200, {}, {}))

    error = error_from(Client(server.url().replace("http:", "https:")).me)

    assert error.exit_code == ExitCode.UNREACHABLE
    assert "http://" in error.hint


def test_a_redirect_is_reported_and_the_token_is_not_carried_along(serve: Serve) -> None:
    other = serve((200, {}, {}))
    server = serve((302, {"Location": other.url("other.localhost")}, {}))

    error = error_from(Client(server.url(), "secret").me)

    assert "other.localhost" in error.message
    assert other.received == []


def test_a_stored_artifact_elsewhere_is_fetched_without_the_token(serve: Serve) -> None:
    storage = serve((200, {}, b"bytes"))
    server = serve((302, {"Location": storage.url("storage.localhost") + "/x?sig=1"}, {}))

    with Client(server.url(), "secret").content("a1") as pieces:
        assert b"".join(pieces) == b"bytes"

    assert server.received[0].headers["Authorization"] == "Bearer secret"
    assert "Authorization" not in storage.received[0].headers


def test_the_next_page_is_asked_of_the_same_server(serve: Serve) -> None:
    elsewhere = serve((200, {}, {"results": []}))
    page = {"results": [{"name": "a"}], "next": elsewhere.url() + "/api/v1/skills?cursor=2"}
    server = serve((200, {}, page), (200, {}, {"results": [{"name": "b"}], "next": None}))

    found = Client(server.url(), "secret").skills(query="sales report")

    assert [skill["name"] for skill in found] == ["a", "b"]
    assert server.received[1].path == "/api/v1/skills?cursor=2"
    assert elsewhere.received == []


def test_pages_without_an_end_do_not_go_on_for_ever(serve: Serve) -> None:
    server = serve((200, {}, {"results": [{"name": "a"}], "next": "/api/v1/skills?cursor=1"}))

    assert len(Client(server.url()).skills()) <= 2


@pytest.mark.parametrize("reference", ["../me", "a/b", "", ".", "..", "a?b", "a b", "x" * 200])
def test_an_id_never_changes_the_path(serve: Serve, reference: str) -> None:
    server = serve((200, {}, {}))

    error = error_from(lambda: Client(server.url()).execution(reference))

    assert error.exit_code == ExitCode.USAGE
    assert server.received == []


def test_a_file_is_sent_under_its_own_name_only(serve: Serve, tmp_path: Path) -> None:
    server = serve((201, {}, {"id": "f1"}))
    path = tmp_path / "orders.csv"
    path.write_bytes(b"a,b\n\x00")

    assert Client(server.url()).upload(path) == "f1"
    assert b'filename="orders.csv"' in server.received[0].body
    assert b"a,b\n\x00" in server.received[0].body
    assert str(tmp_path).encode() not in server.received[0].body
