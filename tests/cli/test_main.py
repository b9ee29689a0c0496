from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import main as program
from cli.config import load_config
from cli.exit_codes import MEANINGS, OUTCOMES, WAITING_FOR_A_PERSON, ExitCode
from tests.cli.conftest import TinyServer

Serve = Callable[..., TinyServer]
Capture = pytest.CaptureFixture[str]


def exit_code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        program.main(words)
    code = caught.value.code
    assert isinstance(code, int)
    return code


def test_the_help_page_documents_every_exit_code(capsys: Capture) -> None:
    assert exit_code_of("--help") == 0

    page = capsys.readouterr().out
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}" in page
    assert set(MEANINGS) == set(ExitCode)


def test_no_status_is_both_final_and_waiting() -> None:
    assert not set(OUTCOMES) & WAITING_FOR_A_PERSON


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        (["list", "--json"], ["--json", "list"]),
        (["list", "--url", "u", "-q", "x"], ["--url", "u", "list", "-q", "x"]),
        (["list", "--host=u"], ["--host=u", "list"]),
        (["run", "s", "--", "--json"], ["run", "s", "--", "--json"]),
        (["list", "--url"], ["--url", "list"]),
        (["run", "s", "--version", "3"], ["run", "s", "--version", "3"]),
    ],
)
def test_global_options_may_stand_after_the_command(typed: list[str], parsed: list[str]) -> None:
    assert program.hoist_global_options(typed) == parsed


def test_without_a_login_it_says_how_to_get_one(capsys: Capture) -> None:
    assert exit_code_of("list") == ExitCode.NOT_LOGGED_IN
    assert "execfabric-cli login" in capsys.readouterr().err


def test_an_error_is_json_too(capsys: Capture) -> None:
    assert exit_code_of("list", "--json") == ExitCode.NOT_LOGGED_IN
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 4


def test_wrong_usage_exits_with_2() -> None:
    assert exit_code_of("list", "--nonsense") == ExitCode.USAGE
    assert exit_code_of("run") == ExitCode.USAGE
    assert exit_code_of("nonsense") == ExitCode.USAGE


def test_a_login_without_a_terminal_asks_for_nothing(capsys: Capture) -> None:
    assert exit_code_of("login", "acme.localhost:1", "-u", "al") == ExitCode.USAGE
    assert "--password-stdin" in capsys.readouterr().err


def test_a_kept_login_is_used_and_never_shown(
    serve: Serve, own_environment: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"username": "al", "roles": ["operator"]}
    answer = {"token": "tok-123", "expires_at": None, "user": user}
    server = serve((200, {}, answer), (200, {}, user))
    monkeypatch.setattr("sys.stdin", io.StringIO("pa ss\n"))

    login = ["login", server.url(), "--username", "al", "--password-stdin", "--json"]
    assert exit_code_of(*login) == 0
    assert exit_code_of("whoami") == 0

    assert json.loads(server.received[0].body) == {"username": "al", "password": "pa ss"}
    assert server.received[1].headers["Authorization"] == "Bearer tok-123"
    assert load_config(own_environment).default_url == server.url()
    streams = capsys.readouterr()
    assert "tok-123" not in streams.out + streams.err


NEEDED = (401, {}, {"code": "second_factor_needed", "message": "Send the code.", "fields": {}})


def test_a_code_that_is_needed_is_asked_for(
    serve: Serve, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(NEEDED, (200, {}, {"token": "t", "user": {"username": "al"}}))
    monkeypatch.setattr("sys.stdin", io.StringIO("pa ss\n"))
    monkeypatch.setattr("cli.output.Screen.asks", True)
    monkeypatch.setattr("typer.prompt", lambda label, **_: "123 456")

    assert exit_code_of("login", server.url(), "-u", "al", "--password-stdin") == 0

    both = {"username": "al", "password": "pa ss", "code": "123 456"}
    assert json.loads(server.received[1].body) == both


def test_a_code_can_be_given_at_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve((200, {}, {"token": "t", "user": {"username": "al"}}))
    monkeypatch.setattr("sys.stdin", io.StringIO("pa ss\n"))

    exit_code_of("login", server.url(), "-u", "al", "--password-stdin", "--code", "123456")

    assert json.loads(server.received[0].body)["code"] == "123456"


def test_a_code_that_cannot_be_asked_for_is_a_matter_of_usage(
    serve: Serve, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(NEEDED)
    monkeypatch.setattr("sys.stdin", io.StringIO("pa ss\n"))

    code = exit_code_of("login", server.url(), "-u", "al", "--password-stdin")

    assert code == ExitCode.USAGE
    assert "--code" in capsys.readouterr().err


def test_what_needs_a_fresh_login_says_so(serve: Serve, capsys: Capture, monkeypatch) -> None:
    refusal = {"code": "proof_needed", "message": "This needs a fresh proof.", "fields": {}}
    server = serve((403, {}, refusal))
    monkeypatch.setenv("EXECFABRIC_TOKEN", "t")

    assert exit_code_of("whoami", "--url", server.url()) == ExitCode.REFUSED
    assert "Log in again" in capsys.readouterr().err


def test_a_login_for_one_server_is_never_sent_to_another(
    serve: Serve, own_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve((200, {}, {"token": "tok-123", "user": {}}))
    monkeypatch.setattr("sys.stdin", io.StringIO("pw\n"))
    exit_code_of("login", server.url("acme.localhost"), "-u", "al", "--password-stdin")

    other = exit_code_of("list", "--url", server.url("globex.localhost"))

    assert other == ExitCode.NOT_LOGGED_IN
    assert len(server.received) == 1


def test_a_token_from_the_environment_needs_no_login(
    serve: Serve, own_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve((200, {}, {"results": [], "next": None}))
    monkeypatch.setenv("EXECFABRIC_TOKEN", "from-ci\n")
    monkeypatch.setenv("EXECFABRIC_URL", server.url())

    assert exit_code_of("list") == 0

    assert server.received[0].headers["Authorization"] == "Bearer from-ci"
    assert not own_environment.exists()


def test_logging_out_forgets_the_login_even_when_the_server_is_gone(
    serve: Serve, own_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve((200, {}, {"token": "tok", "user": {}}), (500, {}, {}))
    monkeypatch.setattr("sys.stdin", io.StringIO("pw\n"))
    exit_code_of("login", server.url(), "-u", "al", "--password-stdin")

    assert exit_code_of("logout") == 0

    assert load_config(own_environment).logins == {}


def test_a_request_that_got_no_answer_can_be_repeated_as_the_same_one(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    schema = {"properties": {"orders": {"type": "string", "format": "file"}}}
    (tmp_path / "orders.csv").touch()
    server = serve(
        (200, {}, {"name": "report", "input_schema": schema}),
        (201, {}, {"id": "f-1"}),
        (500, {}, {}),
    )
    monkeypatch.setenv("EXECFABRIC_TOKEN", "t")

    code = exit_code_of(
        "run", "report", "-i", f"orders=@{tmp_path}/orders.csv", "--url", server.url()
    )

    assert code == ExitCode.UNREACHABLE
    key = server.received[2].headers["Idempotency-Key"]
    assert f"--idempotency-key {key} --input orders=f-1" in capsys.readouterr().err
