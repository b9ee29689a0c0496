"""Zygotes come and go; whatever happens to one, its tenant's next run works and none is left."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from executors.contract import ExecutionResult, Outcome, StopReason
from executors.script import process
from executors.script.executor import ScriptExecutor
from executors.script.run_folder import Room
from executors.script.sandbox.level import NamespaceLevel
from executors.script.warm import pool
from tests.executors.conftest import MakeFolder, RecordingSink, Runner, request_for
from tests.executors.script.test_limits import wait_until
from tests.executors.script.warm.conftest import MakeExecutor


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder("hello", main__py="print('hello')\n")


def run_for(executor: ScriptExecutor, folder: Path, tenant: str = "acme") -> ExecutionResult:
    request = request_for(folder).model_copy(update={"tenant": tenant})
    workdir = Path(tempfile.mkdtemp(dir=folder.parent))
    result = executor.execute(request, RecordingSink(), workdir=workdir)
    assert result.outcome is Outcome.SUCCEEDED, result.error
    return result


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_tenant_keeps_its_zygote_and_shares_it_with_nobody(
    make_executor: MakeExecutor, folder: Path
) -> None:
    executor = make_executor()
    run_for(executor, folder, "acme")
    first = executor.zygotes()
    run_for(executor, folder, "acme")
    run_for(executor, folder, "globex")

    assert len(first) == 1
    assert len(executor.zygotes()) == 2
    assert executor.zygotes()[:1] == first


@pytest.mark.parametrize(
    "bounds", [{"most_runs": 1}, {"idle_s": 0}, {"growth_bytes": -(10**9)}], ids=str
)
def test_a_zygote_is_recycled(
    make_executor: MakeExecutor, folder: Path, bounds: dict[str, float]
) -> None:
    executor = make_executor(**bounds)
    run_for(executor, folder)
    (first,) = executor.zygotes()
    run_for(executor, folder)
    (second,) = executor.zygotes()

    assert second != first
    wait_until(lambda: is_gone(first))


def test_a_zygote_ends_by_itself_when_nobody_needs_it(
    make_executor: MakeExecutor, folder: Path
) -> None:
    executor = make_executor(idle_s=0.3)
    run_for(executor, folder)
    (zygote,) = executor.zygotes()

    wait_until(lambda: is_gone(zygote))
    run_for(executor, folder)


def test_the_least_recently_used_gives_way(make_executor: MakeExecutor, folder: Path) -> None:
    executor = make_executor(most_zygotes=2)
    for tenant in ("acme", "globex", "acme"):
        run_for(executor, folder, tenant)
    globex, acme = executor.zygotes()
    run_for(executor, folder, "initech")

    assert executor.zygotes()[0] == acme
    assert len(executor.zygotes()) == 2
    wait_until(lambda: is_gone(globex))


def test_a_zygote_that_was_killed_is_replaced(make_executor: MakeExecutor, folder: Path) -> None:
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: is_gone(zygote))

    run_for(executor, folder)

    assert executor.zygotes() != [zygote]


@pytest.mark.usefixtures("may_start_cold")
def test_a_zygote_that_dies_before_the_run_began_costs_only_time(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    send = pool.socket.send_fds

    def kill_and_send(*arguments: object) -> int:
        os.kill(zygote, signal.SIGSTOP)
        sent = send(*arguments)  # type: ignore[arg-type]
        os.kill(zygote, signal.SIGKILL)
        return sent

    monkeypatch.setattr(pool.socket, "send_fds", kill_and_send)

    run_for(executor, folder)

    assert "Execution run-1 starts cold: it ended before the run began." in caplog.text


@pytest.mark.parametrize(("said", "may_have_begun"), [(b"", False), (b" ", True)])
def test_what_began_after_it_was_given_up_is_not_taken_for_lost(
    said: bytes, may_have_begun: bool
) -> None:
    ours, theirs = socket.socketpair()
    room = Room()
    with ours:
        theirs.sendall(said)
        theirs.close()

        assert pool.ends_in_time(ours.fileno(), 1, room)

    assert room.may_have_begun is may_have_begun


@pytest.mark.usefixtures("may_start_cold")
def test_a_zygote_that_does_not_start_costs_only_time(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(pool, "BOOT", "raise SystemExit('out of luck')")
    executor = make_executor()

    run_for(executor, folder)
    run_for(executor, folder)

    assert executor.zygotes() == []
    messages = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert messages == [
        "Execution run-1 starts cold: out of luck.",
        "Execution run-1 starts cold: it did not start a short time ago.",
    ]


@pytest.mark.usefixtures("may_start_cold")
def test_a_zygote_that_hangs_is_given_up(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "BEGIN_PATIENCE_S", 1)
    monkeypatch.setattr(pool, "KILL_PATIENCE_S", -4)
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    os.kill(zygote, signal.SIGSTOP)

    run_for(executor, folder)

    assert executor.zygotes() == []
    wait_until(lambda: is_gone(zygote))


def test_nothing_is_left_of_a_worker_that_is_killed(folder: Path, open_folder: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(open_folder / "state-ns"), str(folder)],
        cwd=Path(__file__).parents[4], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    told = worker.stdout.readline().split()
    zygote, spares = int(told[0]), [int(pid) for pid in told[1:]]
    assert not is_gone(zygote)
    assert spares
    worker.kill()
    worker.wait()

    for pid in (zygote, *spares):
        wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]


WORKER = """
import sys, tempfile, time
from pathlib import Path
from executors.script.executor import ScriptExecutor
from executors.script.tree import descendants
from tests.executors.conftest import RecordingSink, request_for
executor = ScriptExecutor(state_folder=Path(sys.argv[1]))
with tempfile.TemporaryDirectory() as folder:
    executor.execute(request_for(Path(sys.argv[2])), RecordingSink(), workdir=Path(folder))
time.sleep(0.5)
(zygote,) = executor.zygotes()
print(zygote, *descendants(zygote), flush=True)
time.sleep(60)
"""


def test_a_process_forked_from_the_worker_does_not_keep_its_zygotes(
    make_executor: MakeExecutor, folder: Path
) -> None:
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        executor.close()
        wait_until(lambda: is_gone(zygote), timeout_s=5)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_modules_named_like_the_librarys_are_the_scripts_own(
    run: Runner, make_folder: MakeFolder
) -> None:
    """A zygote may have imported the other one; so such a script starts cold."""
    folder = make_folder(main__py="import csv\nprint(csv.MINE)\n", csv__py="MINE = 'my own'\n")

    assert run.folder(folder).outcome is Outcome.SUCCEEDED
    assert run.sink.text() == "my own\n"


def test_a_view_that_cannot_be_built_is_not_tried_again_and_again(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plan = NamespaceLevel.plan

    def broken(*arguments: object) -> dict[str, object]:
        return {**make_plan(*arguments), "root": "/nowhere"}  # type: ignore[arg-type]

    monkeypatch.setattr(NamespaceLevel, "plan", broken)
    executor = make_executor()
    workdir = folder.parent / "work"
    workdir.mkdir()
    result = executor.execute(request_for(folder), RecordingSink(), workdir=workdir)
    (zygote,) = executor.zygotes()
    time.sleep(0.2)
    before = cpu_ticks(zygote)
    time.sleep(1)

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert cpu_ticks(zygote) - before < 10


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))
