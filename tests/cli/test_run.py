"""run, approve, reject and list against scripted answers: what a person reads, and how soon."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import main as program
from cli.commands import reports
from cli.exit_codes import ExitCode
from cli.output import Screen
from tests.cli.conftest import Answer, TinyServer

Serve = Callable[..., TinyServer]
Capture = pytest.CaptureFixture[str]

SKILL: Answer = (200, {}, {"name": "pay", "input_schema": {"type": "object", "properties": {}}})
NOT_FOUND: Answer = (404, {}, {"code": "not_found", "message": "There is nothing here."})
NO_ARTIFACTS: Answer = (200, {}, {"results": [], "next": None})
TRACEBACK = ["Traceback (most recent call last):", '  File "main.py", line 1', "ValueError: no"]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECFABRIC_TOKEN", "t")


def exit_code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        program.main(words)
    code = caught.value.code
    assert isinstance(code, int)
    return code


def execution(status: str, **more: Any) -> Answer:
    return 200, {}, {"id": "e-1", "skill": "pay", "version": 1, "status": status, **more}


def paths_of(server: TinyServer) -> list[str]:
    return [each.path.partition("?")[0].removeprefix("/api/v1/") for each in server.received]


def test_a_run_that_waits_for_a_confirmation_says_so_without_asking_for_the_log(
    serve: Serve, capsys: Capture
) -> None:
    server = serve(SKILL, execution("awaiting_confirmation"))

    began = time.monotonic()
    code = exit_code_of("run", "pay", "--url", server.url())

    assert code == ExitCode.NEEDS_A_PERSON
    assert time.monotonic() - began < 2
    assert paths_of(server) == ["skills/pay", "executions"]
    assert f"execfabric-cli confirm e-1 --url {server.url()}" in capsys.readouterr().err


def test_a_confirmed_run_that_waits_for_somebody_else_says_so_at_once(
    serve: Serve, capsys: Capture
) -> None:
    server = serve(SKILL, execution("awaiting_confirmation"), execution("awaiting_approval"))

    assert exit_code_of("run", "pay", "--yes", "--url", server.url()) == ExitCode.NEEDS_A_PERSON

    assert paths_of(server) == ["skills/pay", "executions", "executions/e-1/confirm"]
    said = capsys.readouterr().err
    assert "waits until somebody else approves it" in said
    assert "execfabric-cli approve e-1" in said


def test_following_the_log_of_one_that_waits_ends_at_once(serve: Serve) -> None:
    server = serve(execution("awaiting_approval"))

    code = exit_code_of("logs", "e-1", "--follow", "--url", server.url())

    assert code == ExitCode.NEEDS_A_PERSON
    assert paths_of(server) == ["executions/e-1"]


def test_what_was_started_in_place_of_a_lost_one_is_followed(serve: Serve, capsys: Capture) -> None:
    end: Answer = (200, {}, {"chunks": [], "cursor": 0, "final": True})
    lost = execution("lost", retried_as="e-2")
    again = {"id": "e-2", "skill": "pay", "version": 1}
    server = serve(
        SKILL,
        execution("running"),
        end,
        lost,
        (200, {}, {**again, "status": "queued"}),
        end,
        (200, {}, {**again, "status": "succeeded", "output": {"paid": 7}}),
        NO_ARTIFACTS,
    )

    assert exit_code_of("run", "pay", "--url", server.url()) == ExitCode.SUCCEEDED

    assert paths_of(server)[2:] == [
        "executions/e-1/log",
        "executions/e-1",
        "executions/e-2",
        "executions/e-2/log",
        "executions/e-2",
        "executions/e-2/artifacts",
    ]
    said = capsys.readouterr()
    assert "started again as e-2" in said.err
    assert "7" in said.out


def failing_run(serve: Serve) -> TinyServer:
    text = "\n".join(TRACEBACK) + "\n"
    log = {"chunks": [{"stream": "stderr", "text": text}], "cursor": 1, "final": True}
    error = "\n".join([*TRACEBACK, "It also left a process behind."])
    failed = execution("failed", error=error, exit_code=1)
    return serve(SKILL, execution("queued"), (200, {}, log), failed, NO_ARTIFACTS)


def test_a_traceback_is_shown_once_where_log_and_result_come_together(
    serve: Serve, own_environment: Path
) -> None:
    server = failing_run(serve)

    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "run", "pay", "--url", server.url()],
        cwd=Path(program.__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )

    assert done.returncode == ExitCode.FAILED
    assert done.stdout.count("ValueError: no") == 1
    assert "It also left a process behind." in done.stdout


def test_a_result_that_goes_elsewhere_keeps_the_whole_error(serve: Serve, capfd: Capture) -> None:
    server = failing_run(serve)

    assert exit_code_of("run", "pay", "--url", server.url()) == ExitCode.FAILED

    streams = capfd.readouterr()
    assert all(line in streams.err and line in streams.out for line in TRACEBACK)


def test_an_error_that_nobody_saw_is_shown_whole(capsys: Capture) -> None:
    failed = execution("failed", error="\n".join(TRACEBACK))[2]

    Screen().show(reports.outcome(failed, seen=["something else"]))

    assert "\n".join(TRACEBACK) in capsys.readouterr().out


@pytest.mark.parametrize("words", [["run", "nope"], ["show", "nope"]])
def test_an_unknown_skill_is_named_with_the_way_to_the_known_ones(
    serve: Serve, capsys: Capture, words: list[str]
) -> None:
    server = serve(NOT_FOUND)

    assert exit_code_of(*words, "--url", server.url()) == ExitCode.NOT_FOUND

    said = capsys.readouterr().err
    assert "There is no skill 'nope'" in said
    assert f"See: execfabric-cli list --url {server.url()}" in said


@pytest.mark.parametrize(
    "command",
    ["status", "logs", "logs -f", "download", "confirm", "approve", "reject --reason no", "cancel"],
)
def test_an_unknown_execution_is_named(serve: Serve, capsys: Capture, command: str) -> None:
    server = serve(NOT_FOUND)

    code = exit_code_of(*command.split(), "e-9", "--url", server.url())

    assert code == ExitCode.NOT_FOUND
    assert "There is no execution 'e-9' that you may see." in capsys.readouterr().err


def test_a_server_that_is_none_of_ours_keeps_its_own_sentence(
    serve: Serve, capsys: Capture
) -> None:
    server = serve((404, {}, b"<html>not here</html>"))

    assert exit_code_of("status", "e-9", "--url", server.url()) == ExitCode.NOT_FOUND

    assert "Are the name and the server address right?" in capsys.readouterr().err


def test_an_execution_is_approved(serve: Serve, capsys: Capture) -> None:
    server = serve(execution("queued"))

    assert exit_code_of("approve", "e-1", "--url", server.url()) == 0

    assert (server.received[0].method, paths_of(server)) == ("POST", ["executions/e-1/approve"])
    assert "will run" in capsys.readouterr().out


def test_an_execution_is_rejected_with_a_reason(serve: Serve, capsys: Capture) -> None:
    server = serve(execution("rejected", rejection="Too much."))

    code = exit_code_of("reject", "e-1", "--reason", "Too much.", "--url", server.url())

    assert code == 0
    assert paths_of(server) == ["executions/e-1/reject"]
    assert json.loads(server.received[0].body) == {"reason": "Too much."}
    assert "is rejected" in capsys.readouterr().out


def test_rejecting_needs_a_reason(serve: Serve) -> None:
    server = serve(execution("rejected"))

    assert exit_code_of("reject", "e-1", "--url", server.url()) == ExitCode.USAGE
    assert server.received == []


def test_the_list_says_which_skill_needs_an_approval(serve: Serve, capsys: Capture) -> None:
    skills = [
        {"name": "pay", "title": "Pay", "approval": "four_eyes", "requires_confirmation": True},
        {"name": "count", "title": "Count", "approval": "none"},
    ]
    server = serve((200, {}, {"results": skills, "next": None}))

    assert exit_code_of("list", "--url", server.url()) == 0

    pay, count = capsys.readouterr().out.splitlines()[2:4]
    assert "asks to confirm" in pay
    assert "needs an approval" in pay
    assert "approval" not in count


def test_a_folder_that_is_not_empty_is_mentioned_before_the_run(
    serve: Serve, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.csv").touch()
    server = serve(NOT_FOUND)
    words = ("run", "pay", "--download", str(tmp_path / "out"), "--url", server.url())

    exit_code_of(*words)
    assert "is not empty" in capsys.readouterr().err
    exit_code_of(*words, "--overwrite")
    assert "is not empty" not in capsys.readouterr().err


def test_a_file_in_the_way_after_the_run_leads_to_a_download_and_not_to_a_second_run(
    serve: Serve, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("mine")
    found = [{"id": "a", "name": "a.csv"}, {"id": "b", "name": "b.csv"}]
    log = {"chunks": [], "cursor": 0, "final": True}
    server = serve(
        SKILL,
        execution("queued"),
        (200, {}, log),
        execution("succeeded"),
        (200, {}, {"results": found, "next": None}),
    )

    code = exit_code_of("run", "pay", "--download", str(tmp_path), "--url", server.url())

    assert code == ExitCode.USAGE
    said = capsys.readouterr().err
    assert f"{tmp_path}/a.csv and 1 more exist already." in said
    assert f"execfabric-cli download e-1 --to {tmp_path} --overwrite" in said


def test_every_call_says_which_program_it_comes_from(serve: Serve) -> None:
    server = serve(NO_ARTIFACTS)

    exit_code_of("list", "--url", server.url())

    assert server.received[0].headers["User-Agent"].startswith("execfabric-cli/")
