"""Every limit is enforced, and nothing of a run outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from executors.contract import Outcome, StopReason
from executors.script.executor import ScriptExecutor
from executors.script.tree import descendants
from tests.executors.conftest import MakeFolder, RecordingSink, Runner, processes_with

DAEMON = """
import os, sys, time
marker = {marker!r}

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            stubborn = "trap '' TERM HUP INT; while :; do sleep 1; done"
            os.execv("/bin/sh", ["sh", "-c", stubborn, marker])
        os._exit(0)

for _ in range(3):
    daemon()
os.wait()
time.sleep(0.3)
"""


@pytest.fixture
def marker() -> str:
    return f"marker-{uuid.uuid4().hex}"


def test_a_script_that_takes_too_long_is_stopped(run: Runner, marker: str) -> None:
    result = run(DAEMON.format(marker=marker) + "time.sleep(60)", limits={"timeout_s": 1.5})

    assert (result.outcome, result.stop_reason) == (Outcome.TIMED_OUT, StopReason.TIME_LIMIT)
    assert 1.5 <= result.usage.wall_s < 10
    assert processes_with(marker) == []


def test_daemons_die_with_the_script(run: Runner, marker: str) -> None:
    result = run(DAEMON.format(marker=marker))

    assert result.outcome is Outcome.SUCCEEDED
    assert processes_with(marker) == []


def test_a_cancelled_run_stops_within_moments(run: Runner, marker: str) -> None:
    started = time.monotonic()

    result = run(
        DAEMON.format(marker=marker) + "time.sleep(60)", sink=RecordingSink(cancel_after=2)
    )

    assert (result.outcome, result.stop_reason) == (
        Outcome.CANCELLED,
        StopReason.CANCEL_REQUESTED,
    )
    assert time.monotonic() - started < 15
    assert processes_with(marker) == []


def test_a_fork_bomb_is_bounded_and_removed(run: Runner, marker: str) -> None:
    result = run(
        f"""
        import os, time
        marker = {marker!r}
        for _ in range(200):
            try:
                if os.fork() == 0:
                    os.execv("/bin/sleep", ["sleep-" + marker, "60"])
            except OSError as error:
                print("refused")
                break
        time.sleep(0.2)
        """,
        limits={"processes": 20},
    )

    assert "refused" in run.sink.text()
    assert result.outcome is Outcome.SUCCEEDED
    assert processes_with(marker) == []


def test_a_whole_tree_that_uses_too_much_memory_is_stopped(run: Runner) -> None:
    result = run(
        """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                block = os.urandom(1024) * (30 * 1024)
                time.sleep(30)
        time.sleep(30)
        """,
        limits={"memory_bytes": 64 * 1024 * 1024},
    )

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.MEMORY_LIMIT)
    assert result.usage.peak_memory_bytes > 64 * 1024 * 1024


def test_memory_that_forks_share_counts_once(run: Runner) -> None:
    result = run(
        """
        import os, time
        block = b"x" * (40 * 1024 * 1024)
        for _ in range(3):
            if os.fork() == 0:
                time.sleep(0.5)
                os._exit(0)
        for _ in range(3):
            os.wait()
        """,
        limits={"memory_bytes": 90 * 1024 * 1024},
    )

    assert result.outcome is Outcome.SUCCEEDED


def test_files_are_bounded_in_size_and_open_number(run: Runner) -> None:
    large = run("open('x', 'wb').write(b'x' * 100_000)", limits={"file_bytes": 50_000})
    many = run("files = [open('/dev/null') for _ in range(50)]", limits={"open_files": 32})

    assert "File too large" in large.summary
    assert "Too many open files" in many.summary


def test_a_killed_script_names_the_signal(run: Runner) -> None:
    result = run("kill -9 $$\n", shell=True)

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.KILLED)
    assert result.exit_code == -9
    assert result.summary == "The script was killed by signal 9 (SIGKILL)."


def test_a_sink_that_fails_leaves_nothing_running(run: Runner, marker: str) -> None:
    class BrokenSink(RecordingSink):
        def alive(self) -> bool:
            raise ConnectionError("database is gone")

    with pytest.raises(ConnectionError):
        run(DAEMON.format(marker=marker) + "time.sleep(60)", sink=BrokenSink())

    assert processes_with(marker) == []


def test_a_worker_that_is_killed_leaves_nothing_running(
    executor: ScriptExecutor, make_folder: MakeFolder, marker: str, open_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = make_folder(main__py=DAEMON.format(marker=marker) + "time.sleep(60)")
    state = open_folder / "state-killed"
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            WORKER,
            executor.level.name,
            str(state),
            str(folder),
            str(tmp_path),
            "warm" if executor.zygotes() else "",
        ],
        cwd=Path(__file__).parents[3],
    )
    try:
        wait_until(lambda: len(processes_with(marker)) >= 3)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    wait_until(lambda: processes_with(marker) == [])
    wait_until(lambda: processes_with(str(state)) == [])


WORKER = """
import sys
from pathlib import Path
from executors.script.executor import ScriptExecutor
from tests.executors.conftest import RecordingSink, request_for
executor = ScriptExecutor(
    level=sys.argv[1], state_folder=Path(sys.argv[2]), zygotes=bool(sys.argv[5])
)
executor.execute(request_for(Path(sys.argv[3])), RecordingSink(), workdir=Path(sys.argv[4]))
"""


def test_a_guard_that_is_killed_leaves_nothing_running(run: Runner, marker: str) -> None:
    class KillingSink(RecordingSink):
        def alive(self) -> bool:
            if len(processes_with(marker)) >= 3:
                stages = [*processes_with("executors.script.stage"), *run.executor.zygotes()]
                ours = set(stages) & set(descendants(os.getpid()))
                script = set(processes_with(marker))
                guard = next((p for p in ours if script & set(descendants(p))), None)
                if guard is not None:  # Else it was killed before, and the script is dying.
                    os.kill(guard, signal.SIGKILL)
            return True

    result = run(DAEMON.format(marker=marker) + "time.sleep(60)", sink=KillingSink())

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.KILLED)
    assert processes_with(marker) == []


def test_killing_its_guard_does_not_free_a_script(run: Runner, marker: str) -> None:
    result = run(
        DAEMON.format(marker=marker)
        + """
try:
    os.kill(os.getppid() or 1, 9)
except PermissionError:
    print("not allowed")
else:
    time.sleep(60)
""",
        limits={"timeout_s": 15},
    )

    assert processes_with(marker) == []
    if os.geteuid() == 0:
        assert "not allowed" in run.sink.text()
    elif run.executor.level.hides_machine:
        # Its parent is process 1 of its own namespace, which a signal from inside does not end.
        refused = "not allowed" in run.sink.text()  # By Landlock, where the kernel's can.
        assert refused or result.stop_reason is StopReason.TIME_LIMIT
    else:
        # One user cannot be kept from its own processes; then the worker cleans up.
        assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.KILLED)


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
