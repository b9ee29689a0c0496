"""What the level ``ll`` promises against the same attacks; see docs/isolation.md."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from executors.contract import MEBIBYTE, Outcome, StopReason
from executors.script.executor import ScriptExecutor
from tests.executors.conftest import RecordingSink, processes_with, request_for
from tests.security.sandbox.conftest import Attack, call_as
from tests.security.sandbox.test_attacks import OTHERS, assert_reached_nothing
from tests.security.sandbox.test_fail_closed import forbid_namespaces

NOT_PROMISED = {
    # Nothing bounds all files of a run together where it writes to the machine's own disk.
    "resources.fill_the_disk",
    "resources.use_up_all_inodes",
}

pytestmark = pytest.mark.parametrize("warm", [False], indirect=True, ids=["cold"])


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in NOT_PROMISED])
def test_it_reaches_nothing(attack: Attack, name: str) -> None:
    assert_reached_nothing(attack(name, level="ll"))


def test_datagrams_do_not_arrive(attack: Attack, lab: dict[str, Any]) -> None:
    attempt = attack("network.send_datagrams", level="ll")

    assert "Address family not supported" in attempt.result.error
    with pytest.raises(BlockingIOError):
        lab["udp_socket"].recv(100)


def test_signals_to_everybody_reach_nobody(attack: Attack, lab: dict[str, Any]) -> None:
    attack("processes.signal_everybody", level="ll")

    assert lab["victim"].poll() is None


def test_daemons_die_with_the_script(attack: Attack, lab: dict[str, Any]) -> None:
    attempt = attack("processes.leave_daemons", level="ll")

    assert attempt.result.outcome is Outcome.SUCCEEDED
    assert processes_with(lab["daemon_mark"]) == []


@pytest.mark.parametrize("name", ["ignore_all_signals", "stop_everything"])
def test_the_time_limit_ends_everything(attack: Attack, lab: dict[str, Any], name: str) -> None:
    started = time.monotonic()
    attempt = attack(f"processes.{name}", level="ll", timeout_s=2)

    assert attempt.result.stop_reason is StopReason.TIME_LIMIT
    assert time.monotonic() - started < 10
    assert processes_with(lab["daemon_mark"]) == []


def test_memory_of_the_whole_tree_is_bounded(attack: Attack) -> None:
    attempt = attack(
        "resources.use_all_memory_in_children", level="ll", memory_bytes=256 * MEBIBYTE
    )

    assert attempt.result.stop_reason is StopReason.MEMORY_LIMIT
    assert attempt.result.usage.peak_memory_bytes < 700 * MEBIBYTE


def test_a_run_that_needs_the_network_is_refused_clearly(attack: Attack) -> None:
    attempt = attack("network.connect_to_services", level="ll", network=True)

    assert attempt.result.stop_reason is StopReason.COULD_NOT_START
    assert "needs the network, which this worker's isolation 'll' gives to no" in (
        attempt.result.summary
    )


def test_it_works_where_namespaces_are_forbidden(
    user: int, base_python: Path, open_folder: Path, tmp_path: Path, warm: bool
) -> None:
    script = open_folder / f"script-ll-{user}"
    script.mkdir(mode=0o755)
    (script / "main.py").write_text("import os\nprint(os.listdir('.'))\n")

    def run() -> list[str]:
        forbid_namespaces()
        executor = ScriptExecutor(state_folder=open_folder / f"state-forbidden-{user}", level="ll")
        executor.check()
        sink = RecordingSink()
        workdir = open_folder / f"work-forbidden-{user}"
        workdir.mkdir()
        result = executor.execute(request_for(script), sink, workdir=workdir)
        return [result.outcome, sink.text()]

    assert call_as(user, base_python, run) == [Outcome.SUCCEEDED, "[]\n"]
