"""A layer that cannot be had means that no script runs, and that the operator is told."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executors.contract import StopReason
from executors.script.executor import ScriptExecutor
from executors.script.level import LevelUnavailable
from executors.script.sandbox.level import NamespaceLevel
from executors.script.sandbox.privileges import forbid_new_privileges
from executors.script.sandbox.seccomp import build_filter, restrict_calls
from tests.executors.conftest import RecordingSink, executor_at, request_for
from tests.security.sandbox.conftest import call_as


@pytest.fixture
def script(open_folder: Path) -> Path:
    """A script folder everybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="script-", dir=open_folder))
    folder.chmod(0o755)
    (folder / "main.py").write_text("print('it ran')\n")
    return folder


def forbid_namespaces() -> None:
    """Do to this process what a container's own filter does: mount and unshare fail."""
    forbid_new_privileges()
    restrict_calls(build_filter())


def test_a_machine_without_namespaces_is_refused_with_reason_and_remedy(
    user: int, base_python: Path, open_folder: Path
) -> None:
    def check() -> str:
        forbid_namespaces()
        try:
            ScriptExecutor(state_folder=open_folder / f"state-closed-{user}", level="ns").check()
        except LevelUnavailable as error:
            return str(error)
        return "it was taken"

    told = call_as(user, base_python, check)

    assert "Process namespace: unshare: Operation not permitted." in told
    assert "seccomp=unconfined" in told
    assert "EXECFABRIC_SANDBOX=process" in told


def test_the_weaker_level_does_not_need_them(
    user: int, base_python: Path, open_folder: Path
) -> None:
    def check() -> bool:
        forbid_namespaces()
        level = "process"
        ScriptExecutor(state_folder=open_folder / f"state-open-{user}", level=level).check()
        return True

    assert call_as(user, base_python, check)


def test_a_machine_that_changes_later_runs_nothing(
    user: int, base_python: Path, open_folder: Path, script: Path, warm: bool
) -> None:
    def run() -> list[str]:
        state = open_folder / f"state-later-{user}"
        executor = ScriptExecutor(state_folder=state, level="ns", zygotes=warm)
        executor.check()
        forbid_namespaces()
        sink = RecordingSink()
        workdir = Path(tempfile.mkdtemp(dir=open_folder))
        result = executor.execute(request_for(script), sink, workdir=workdir)
        return [result.stop_reason, result.summary, sink.text()]

    assert call_as(user, base_python, run) == [
        StopReason.COULD_NOT_START,
        "This worker cannot run scripts. Its log says why.",
        "",
    ]


@pytest.mark.parametrize(
    "break_plan",
    [
        pytest.param(lambda plan: plan.update(root="/nowhere"), id="no place for the view"),
        pytest.param(lambda plan: plan.update(room_bytes="x"), id="no bounds of the room"),
        pytest.param(lambda plan: plan["readonly"].append(["/nowhere", "/x"]), id="no source"),
        pytest.param(lambda plan: plan.pop("hidden"), id="an incomplete plan"),
        pytest.param(lambda plan: plan["rules"].update({"/usr": 0}), id="no Landlock"),
    ],
)
def test_no_layer_is_left_out(
    open_folder: Path, script: Path, warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, break_plan: Callable[[dict[str, Any]], Any],
) -> None:  # fmt: skip
    executor = executor_at("ns", open_folder, warm=warm)
    make_plan = NamespaceLevel.plan

    def broken(*args: Any) -> dict[str, Any]:
        plan = make_plan(*args)
        break_plan(plan)
        return plan

    monkeypatch.setattr(NamespaceLevel, "plan", broken)
    sink = RecordingSink()

    result = executor.execute(request_for(script), sink, workdir=tmp_path)

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert sink.text() == ""
    assert "The sandbox could not be made" in caplog.text
    assert str(open_folder) not in result.model_dump_json()
