"""Which rows share a sandbox, how long it lasts, and that nothing is left of it."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from executors.contract import Outcome, StopReason, Stream
from executors.script.bundle_use import remove_bundle
from executors.script.tree import descendants
from executors.script.warm import series
from executors.script.warm.pool import Recycling
from tests.executors.conftest import RecordingSink, executor_at
from tests.executors.script.test_limits import wait_until
from tests.executors.script.warm.rows import Rows, serving
from tests.executors.script.warm.test_pool import is_gone


def test_others_do_not_share(rows: Rows, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "main.py").write_text((rows.script / "main.py").read_text())
    places = [
        rows("pass").place,
        rows("pass", series="t").place,
        rows("pass", tenant="globex").place,
        rows("pass", limits={"timeout_s": 29}).place,
        rows("pass", folder=other).place,
        rows("pass", series="").place,
    ]

    assert len(set(places)) == len(places)
    assert rows("pass").place == places[0]


def test_runs_that_may_be_the_last_share_from_the_second_on(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "IDLE_S", 60.0)
    first, second, third = (rows("pass", others_follow=False).place for _ in range(3))

    assert first != second == third


def test_runs_that_come_seldom_have_their_own(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "IDLE_S", 0.0)

    assert len({rows("pass", others_follow=False).place for _ in range(3)}) == 3


def test_none_are_shared_where_the_operator_says_so(open_folder: Path, tmp_path: Path) -> None:
    executor = executor_at("ns", open_folder, warm=True, memory_groups=False, shared=False)
    try:
        rows = Rows(executor, tmp_path)
        assert len({rows("pass").place for _ in range(3)}) == 3
    finally:
        executor.close()


def test_a_row_with_the_network_or_files_starts_by_itself(rows: Rows, tmp_path: Path) -> None:
    first = rows("pass").place
    file = tmp_path / "file.txt"
    file.write_text("x")
    networked = rows("pass", network=True)
    given = rows("answer = open(inputs).read()", input_files={"inputs": file})

    assert first not in (networked.place, given.place)
    assert given.answer == "x"


def test_rows_at_the_same_time_have_different_places(rows: Rows) -> None:
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(rows, "import time\ntime.sleep(1)", n) for n in range(3)]
        places = [each.result().place for each in asked]

    assert len(set(places)) == 3
    assert rows("pass").place in places


def test_a_sandbox_serves_so_many_rows(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_ROWS", 2)
    places = [rows("pass").place for _ in range(4)]

    assert places[0] == places[1] != places[2] == places[3]


def test_a_sandbox_serves_so_long(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rows("pass").place
    monkeypatch.setattr(series, "LASTS_S", series.LONGEST_ROW_S)
    rows("pass")

    assert rows("pass").place != first


def assert_nothing_is_left(rows: Rows, pids: list[int]) -> None:
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
    wait_until(lambda: remove_bundle(rows.script))


def test_a_sandbox_ends_when_idle(lone_rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "IDLE_S", 0.3)
    lone_rows("pass")
    served = serving(lone_rows.executor)

    assert len(served) == 1
    assert_nothing_is_left(lone_rows, served)
    assert lone_rows.executor.zygotes()


def test_a_sandbox_keeps_its_bundle_and_user(lone_rows: Rows) -> None:
    lone_rows("pass")

    assert not remove_bundle(lone_rows.script)
    lone_rows.executor.close()
    wait_until(lambda: remove_bundle(lone_rows.script))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives runs a user each")
def test_its_user_is_nobody_elses_until_it_is_gone(
    lone_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os\nanswer = os.getuid()"
    monkeypatch.setattr(series, "IDLE_S", 1.0)
    uid = lone_rows(code).answer
    others = {lone_rows(code, series=f"{n}").answer for n in range(3)}
    lock = next(lone_rows.executor._identities._folder.glob(f"*{uid}*"))

    assert uid not in others
    assert not can_lock(lock)
    wait_until(lambda: can_lock(lock))


def can_lock(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_those_that_wait_make_place_for_others(
    open_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "executors")
    executor = executor_at(
        "ns", open_folder, warm=True, memory_groups=False, recycling=Recycling(most_zygotes=2)
    )
    rows = Rows(executor, tmp_path)
    try:
        places = [rows("pass", tenant=f"t{number}").place for number in range(4)]
        rows("pass", tenant="t4", series="")

        assert len(set(places)) == 4
        assert caplog.messages == []  # Else it says what started by itself, or cold.
    finally:
        executor.close()


def test_only_so_many_wait(lone_rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_WAITING", 2)
    places = [lone_rows("pass", series=f"{n}").place for n in range(4)]

    wait_until(lambda: len(serving(lone_rows.executor)) == 2)
    assert [lone_rows("pass", series=f"{n}").place for n in (3, 2)] == [places[3], places[2]]


def test_close_ends_all(lone_rows: Rows) -> None:
    for name in ("s", "t"):
        lone_rows("pass", series=name)
    served = serving(lone_rows.executor)
    lone_rows.executor.close()

    assert len(served) == 2
    assert_nothing_is_left(lone_rows, served)


WORKER = """
import sys, time
from pathlib import Path
from executors.script.executor import ScriptExecutor
from executors.script.tree import descendants
from tests.executors.script.warm.rows import Rows
rows = Rows(ScriptExecutor(state_folder=Path(sys.argv[1]), memory_groups=False), Path(sys.argv[2]))
rows("pass")
(zygote,) = rows.executor.zygotes()
print(zygote, *descendants(zygote), flush=True)
while sys.argv[3] == "in a row":
    rows("import time\\ntime.sleep(60)")
time.sleep(60)
"""


@pytest.mark.parametrize("moment", ["in a row", "between rows"])
def test_nothing_is_left_of_a_worker_that_is_killed(
    open_folder: Path, tmp_path: Path, moment: str
) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(open_folder / "state-ns"), str(folder), moment],
        cwd=Path(__file__).parents[4], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    zygote, *served = map(int, worker.stdout.readline().split())
    assert served
    if moment == "in a row":
        wait_until(lambda: len(descendants(zygote)) > len(served))
        served = descendants(zygote)
    worker.kill()
    worker.wait()

    for pid in (zygote, *served):
        wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
    assert remove_bundle(folder / "script")


@pytest.mark.parametrize("whom", ["the one who serves", "the zygote"])
def test_one_is_killed_in_a_row(lone_rows: Rows, whom: str) -> None:
    lone_rows("pass")
    (served,), (zygote,) = serving(lone_rows.executor), lone_rows.executor.zygotes()

    class Sink(RecordingSink):
        def log(self, stream: Stream, text: str) -> None:
            os.kill(served if whom == "the one who serves" else zygote, signal.SIGKILL)

    row = lone_rows("print('x', flush=True)\nimport time\ntime.sleep(60)", sink=Sink())

    assert (row.result.outcome, row.result.stop_reason) == (Outcome.FAILED, StopReason.KILLED)
    assert lone_rows("answer = 2").answer == 2


@pytest.mark.parametrize("whom", ["the one who serves", "the zygote"])
def test_one_is_killed_between_rows(
    lone_rows: Rows, whom: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = lone_rows("pass").place
    (served,) = serving(lone_rows.executor)
    os.kill(served if whom == "the one who serves" else lone_rows.executor.zygotes()[0], 9)
    wait_until(lambda: is_gone(served))
    second, third = (lone_rows("answer = inputs", n) for n in (2, 3))

    assert "Execution run-1 starts by itself: " in caplog.text
    assert (second.answer, third.answer) == (2, 3)
    assert len({first, second.place, third.place}) == 3


def test_one_who_serves_no_more_is_given_up(
    lone_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executors.script.process.BEGIN_PATIENCE_S", 0.5)
    lone_rows("pass")
    (served,) = serving(lone_rows.executor)
    os.kill(served, signal.SIGSTOP)

    assert lone_rows("answer = 2").answer == 2
    wait_until(lambda: is_gone(served))


def test_a_row_that_was_given_up_is_not_begun_later(
    lone_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would run twice."""
    monkeypatch.setattr("executors.script.process.BEGIN_PATIENCE_S", 0.5)
    monkeypatch.setattr(series.SeriesSandbox, "close", lambda _: None)
    monkeypatch.setattr("executors.script.start.kill_strays", lambda *_: None)
    lone_rows("pass")
    (served,) = serving(lone_rows.executor)
    os.kill(served, signal.SIGSTOP)
    row = lone_rows("print('x')")
    os.kill(served, signal.SIGCONT)
    wait_until(lambda: is_gone(served))

    assert row.sink.text() == "x\n"


def test_a_process_forked_from_the_worker_has_its_own(lone_rows: Rows) -> None:
    """Two that use one sandbox could read what the other's row left."""
    first = lone_rows("pass").place
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, lone_rows("pass").place.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        place = stream.read()
    os.waitpid(child, 0)

    assert place not in ("", first)
    assert lone_rows("pass").place == first
