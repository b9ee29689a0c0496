"""Zygotes come and go; whatever happens to one, its tenant's next run works and none is left."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executors.contract import ExecutionResult, Outcome, StopReason, Stream
from executors.script import process
from executors.script.bundle_use import remove_bundle
from executors.script.executor import ScriptExecutor
from executors.script.tree import descendants
from executors.script.warm import pool
from executors.script.warm import process as process_of_zygote
from executors.script.warm.claim import claim
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


HELPERS = ("starts the guards",)


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


def test_an_idle_zygote_keeps_no_run_prepared(make_executor: MakeExecutor, folder: Path) -> None:
    executor = make_executor(spare_s=0.3)
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    wait_until(lambda: len(descendants(zygote)) == len(HELPERS))
    run_for(executor, folder)

    assert executor.zygotes() == [zygote]


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


@pytest.mark.usefixtures("may_start_cold")
def test_a_zygote_that_does_not_start_costs_only_time(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(process_of_zygote, "BOOT", "raise SystemExit('out of luck')")
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
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    os.kill(zygote, signal.SIGSTOP)
    monkeypatch.setattr(process, "BEGIN_PATIENCE_S", 1)
    monkeypatch.setattr(pool, "KILL_PATIENCE_S", -4)

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
        wait_until(lambda: is_gone(zygote))
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


@pytest.mark.usefixtures("may_start_cold")
def test_a_run_that_cannot_be_prepared_is_not_tried_again_and_again(
    make_executor: MakeExecutor, folder: Path
) -> None:
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    time.sleep(0.5)  # Its spare is ready by then.
    most = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, (1, most[1]))
    run_for(executor, folder)
    before = cpu_ticks(zygote)
    time.sleep(1)

    assert executor.zygotes() == [zygote]
    assert cpu_ticks(zygote) - before < 10


@pytest.mark.usefixtures("may_start_cold")
def test_a_zygote_without_its_helper_gives_way_to_another(
    make_executor: MakeExecutor, folder: Path
) -> None:
    executor = make_executor(spare_s=0)
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    wait_until(lambda: len(descendants(zygote)) == len(HELPERS))
    os.kill(descendants(zygote)[0], signal.SIGKILL)
    run_for(executor, folder)
    wait_until(lambda: is_gone(zygote))
    run_for(executor, folder)

    assert executor.zygotes() != [zygote]


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def test_a_zygote_that_starts_slowly_holds_up_nobody_else(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make_executor()
    run_for(executor, folder, "acme")
    start, may_start, is_starting = pool.start_zygote, threading.Event(), threading.Event()

    def start_slowly(*arguments: Any) -> pool.Zygote:
        is_starting.set()
        assert may_start.wait(60)
        return start(*arguments)

    monkeypatch.setattr(pool, "start_zygote", start_slowly)
    with ThreadPoolExecutor(3) as threads:
        slow = [threads.submit(run_for, executor, folder, "globex") for _ in range(2)]
        assert is_starting.wait(60)
        threads.submit(run_for, executor, folder, "acme").result(timeout=60)
        may_start.set()
        for future in slow:
            future.result(timeout=60)

    assert len(executor.zygotes()) == 2


def test_an_order_that_was_taken_back_is_not_begun(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late a zygote comes to it: the run may have started another way meanwhile."""
    executor = make_executor()
    run_for(executor, folder)
    send = pool.socket.send_fds

    def take_back_and_send(control: Any, data: Any, descriptors: list[int]) -> int:
        assert claim(descriptors[0])
        return send(control, data, descriptors)

    monkeypatch.setattr(pool.socket, "send_fds", take_back_and_send)
    sink, workdir = RecordingSink(), folder.parent / "given-up"
    workdir.mkdir()
    result = executor.execute(request_for(folder), sink, workdir=workdir)

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert sink.text() == ""


def test_an_order_that_was_begun_is_not_started_again(
    make_executor: MakeExecutor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    send = pool.socket.send_fds

    def begin_and_die(control: Any, data: Any, descriptors: list[int]) -> int:
        os.kill(zygote, signal.SIGSTOP)
        sent = send(control, data, descriptors)
        assert claim(descriptors[0])
        os.kill(zygote, signal.SIGKILL)
        return sent

    monkeypatch.setattr(pool.socket, "send_fds", begin_and_die)
    sink, workdir = RecordingSink(), folder.parent / "begun"
    workdir.mkdir()
    result = executor.execute(request_for(folder), sink, workdir=workdir)

    assert result.stop_reason is StopReason.KILLED
    assert sink.text() == ""


@pytest.mark.usefixtures("may_start_cold")
def test_a_zygote_with_too_many_files_open_lives_on(
    make_executor: MakeExecutor, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    executor = make_executor()
    run_for(executor, folder)
    (zygote,) = executor.zygotes()
    time.sleep(0.5)  # Its spare is ready by then.
    most = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
    opened = {int(name) for name in os.listdir(f"/proc/{zygote}/fd")}  # noqa: PTH208
    third_free = [number for number in range(100) if number not in opened][2]
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, (third_free, most[1]))

    run_for(executor, folder)
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, most)
    assert "starts cold" in caplog.text
    caplog.clear()
    run_for(executor, folder)

    assert executor.zygotes() == [zygote]
    assert "starts cold" not in caplog.text


def test_the_bundle_of_a_run_cannot_be_removed_meanwhile(
    make_executor: MakeExecutor, make_folder: MakeFolder
) -> None:
    executor = make_executor()
    bundle = make_folder(
        "in-use", main__py="import time\nprint('begun', flush=True)\ntime.sleep(1)"
    )
    begun = threading.Event()

    class Sink(RecordingSink):
        def log(self, stream: Stream, text: str) -> None:
            begun.set()

    (bundle.parent / "of-the-run").mkdir()
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(
            executor.execute, request_for(bundle), Sink(), workdir=bundle.parent / "of-the-run"
        )
        assert begun.wait(60)
        assert not remove_bundle(bundle)
        assert run.result().outcome is Outcome.SUCCEEDED

    assert remove_bundle(bundle)
