"""What the level ``bwrap`` promises against the same attacks; see docs/isolation.md."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from executors.contract import MEBIBYTE, Outcome, StopReason
from executors.script.executor import ScriptExecutor
from executors.script.level import LevelUnavailable
from tests.executors.conftest import processes_with
from tests.security.sandbox.conftest import Attack
from tests.security.sandbox.test_attacks import OTHERS, assert_reached_nothing

NOT_PROMISED = {
    "resources.use_up_all_inodes",  # Bubblewrap cannot bound how many files a folder takes.
}
needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed here"
)

pytestmark = pytest.mark.parametrize("warm", [False], indirect=True, ids=["cold"])


@needs_bubblewrap
@pytest.mark.parametrize("name", [name for name in OTHERS if name not in NOT_PROMISED])
def test_it_reaches_nothing(attack: Attack, name: str) -> None:
    assert_reached_nothing(attack(name, level="bwrap"))


@needs_bubblewrap
def test_daemons_die_with_the_script(attack: Attack, lab: dict[str, Any]) -> None:
    attempt = attack("processes.leave_daemons", level="bwrap")

    assert attempt.result.outcome is Outcome.SUCCEEDED
    assert processes_with(lab["daemon_mark"]) == []
    assert lab["victim"].poll() is None


@needs_bubblewrap
@pytest.mark.parametrize("name", ["ignore_all_signals", "stop_everything"])
def test_the_time_limit_ends_everything(attack: Attack, lab: dict[str, Any], name: str) -> None:
    started = time.monotonic()
    attempt = attack(f"processes.{name}", level="bwrap", timeout_s=2)

    assert attempt.result.stop_reason is StopReason.TIME_LIMIT
    assert time.monotonic() - started < 10
    assert processes_with(lab["daemon_mark"]) == []


@needs_bubblewrap
def test_memory_of_the_whole_tree_is_bounded(attack: Attack) -> None:
    attempt = attack(
        "resources.use_all_memory_in_children", level="bwrap", memory_bytes=256 * MEBIBYTE
    )

    assert attempt.result.stop_reason is StopReason.MEMORY_LIMIT
    assert attempt.result.usage.peak_memory_bytes < 700 * MEBIBYTE


def test_without_bubblewrap_a_worker_is_refused_with_the_remedy(
    warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LevelUnavailable, match=r"no program bwrap\. Install it .* bubblewrap"):
        ScriptExecutor(state_folder=tmp_path, level="bwrap", warm=warm).check()
