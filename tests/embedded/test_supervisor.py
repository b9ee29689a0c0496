"""However the supervisor ends, nothing of it stays, and the next start works."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded.process_table import ROOT, processes_of, wait_for

PROGRAM = Path(__file__).with_name("fake_platform.py")


def start(
    folder: Path, mode: str = "", until: str = "The stand-in is ready"
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("HOME", None)
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if until in line:
            return process
    raise AssertionError(f"It ended with {process.wait()} before it said {until!r}")


def read_rest(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_with_code_0(folder: Path, number: signal.Signals) -> None:
    process = start(folder)
    process.send_signal(number)

    assert process.wait(60) == 0
    assert processes_of(folder) == []


def test_a_kill_leaves_no_process_and_the_next_start_works(folder: Path) -> None:
    process = start(folder)
    assert len(processes_of(folder)) > 6
    process.kill()
    process.wait()

    wait_for(lambda: processes_of(folder) == [], "all processes gone")
    again = start(folder)
    again.terminate()
    assert again.wait(60) == 0


def test_a_kill_while_preparing_leaves_no_process(folder: Path) -> None:
    process = start(folder, "slow", until="prepared with")
    process.kill()
    process.wait()

    wait_for(lambda: processes_of(folder) == [], "all processes gone")


def test_a_signal_while_preparing_stops_with_code_0(folder: Path) -> None:
    process = start(folder, "slow", until="prepared with")
    process.terminate()

    assert process.wait(60) == 0
    assert processes_of(folder) == []


def test_a_second_signal_stops_at_once(folder: Path) -> None:
    process = start(folder, "deaf")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert any("Ctrl-C again" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 0
    assert processes_of(folder) == []


def test_a_stop_that_takes_long_says_what_it_waits_for(folder: Path) -> None:
    process = start(folder, "deaf")
    process.terminate()
    assert process.stdout is not None
    line = "Waiting for web to finish (at most 120 s)"
    assert any(line in said for said in process.stdout)
    process.terminate()

    assert process.wait(60) == 0


def test_a_quick_stop_says_nothing_of_waiting(folder: Path) -> None:
    process = start(folder)
    process.terminate()

    assert "Waiting for" not in read_rest(process)
    assert process.wait(60) == 0


def test_a_killed_child_is_started_again_without_its_old_grandchildren(folder: Path) -> None:
    process = start(folder)
    before = [line for line in processes_of(folder) if "web.ready" in line]
    guard = next(line for line in before if "guard.py" in line)
    os.kill(int(guard.split()[0]), signal.SIGKILL)

    def replaced() -> bool:
        now = [line for line in processes_of(folder) if "web.ready" in line]
        return len(now) == len(before) and not set(now) & set(before)

    wait_for(replaced, "the child and its grandchild are new")
    process.terminate()
    assert process.wait(60) == 0


def test_a_killed_database_is_started_again(folder: Path) -> None:
    process = start(folder)
    server = next(line for line in processes_of(folder) if "bin/postgres -D" in line)
    os.kill(int(server.split()[0]), signal.SIGKILL)
    assert process.stdout is not None
    assert any("PostgreSQL stopped, starting it again" in line for line in process.stdout)

    def replaced() -> bool:
        now = [line for line in processes_of(folder) if "bin/postgres -D" in line]
        return bool(now) and server not in now

    wait_for(replaced, "a new PostgreSQL runs")
    process.terminate()
    assert process.wait(60) == 0
    assert processes_of(folder) == []


def next_server(process: subprocess.Popen[str], folder: Path, killed: set[int]) -> int:
    """Return the process id of a Valkey that was not killed yet, once there is one.

    It is 0 when the supervisor has ended instead.
    """
    found: list[int] = []  # Kept as seen: what becomes a program has no command line for a moment.

    def is_known() -> bool:
        lines = [line for line in processes_of(folder) if "valkey-server" in line]
        found.extend({int(line.split()[0]) for line in lines} - killed)
        return bool(found) or process.poll() is not None

    wait_for(is_known, "a new Valkey runs")
    return found[0] if process.poll() is None else 0


def kill_servers(process: subprocess.Popen[str], folder: Path, times: int) -> bool:
    """Kill Valkey so often, each time once it runs again; return whether the supervisor does."""
    killed: set[int] = set()
    for _ in range(times):
        if not (server := next_server(process, folder, killed)):
            return False
        os.kill(server, signal.SIGKILL)
        killed.add(server)
    return True


def test_a_server_that_keeps_crashing_ends_it(folder: Path) -> None:
    process = start(folder)

    kill_servers(process, folder, 6)

    assert "Valkey stopped 5 times soon after its start" in read_rest(process)
    assert process.wait(60) == 1


def test_a_server_that_ran_well_in_between_is_started_again_ever_so_often(folder: Path) -> None:
    process = start(folder, "long")

    assert kill_servers(process, folder, 7)

    process.terminate()
    assert process.wait(60) == 0


def test_a_child_that_keeps_crashing_ends_the_start_with_its_last_words(folder: Path) -> None:
    process = start(folder, "crash", until="Starting web")
    said = read_rest(process)

    assert process.wait(60) == 1
    assert "web stopped 5 times" in said
    assert "no such table: tenants" in said
    assert processes_of(folder) == []


def test_a_failing_preparation_ends_the_start_with_its_last_words(folder: Path) -> None:
    process = start(folder, "broken", until="prepared with")
    said = read_rest(process)

    assert process.wait(60) == 1
    assert "cannot seed: no tenant" in said
    assert processes_of(folder) == []


def test_a_reader_that_goes_away_does_not_stop_it(folder: Path) -> None:
    process = start(folder)
    assert process.stdout is not None
    process.stdout.close()
    process.terminate()

    assert process.wait(60) == 0


def test_what_starts_last_waits_for_the_others(folder: Path) -> None:
    process = start(folder, until="Starting web")
    assert process.stdout is not None
    said = [process.stdout.readline().partition("] ")[2].strip() for _ in range(3)]
    process.terminate()

    assert said == ["web is ready", "Starting worker", "worker is ready"]
    assert process.wait(60) == 0


def test_logs_keep_the_start_before(folder: Path) -> None:
    for _ in range(2):
        process = start(folder)
        process.terminate()
        process.wait(60)

    logs = {path.name for path in (folder / "var" / "logs").iterdir()}
    assert {"web.log", "web.log.1", "prepare.log", "postgres.log", "valkey.log"} <= logs
