"""Kinds of executors and who serves them."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from executors.contract import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    Outcome,
    Sink,
    StopReason,
)
from executors.registry import EXECUTORS, DuplicateKind, ExecutorRegistry, UnknownKind
from executors.script.executor import ScriptExecutor


class EchoExecutor(Executor):
    def __init__(self, volume: int = 1) -> None:
        self.volume = volume

    def check(self) -> None: ...

    def validate(self, spec: dict[str, Any]) -> None: ...

    def dry_run(self, request: ExecutionRequest) -> dict[str, JsonValue]:
        return {}

    def execute(self, request: ExecutionRequest, sink: Sink, *, workdir: Path) -> ExecutionResult:
        return ExecutionResult(outcome=Outcome.SUCCEEDED, stop_reason=StopReason.EXITED)


def test_a_registered_kind_is_served_by_one_instance() -> None:
    registry = ExecutorRegistry(entry_point_group="none")
    registry.register("echo")(EchoExecutor)

    assert isinstance(registry.get("echo"), EchoExecutor)
    assert registry.get("echo") is registry.get("echo")
    assert registry.get("echo").kind == "echo"


def test_a_kind_cannot_be_taken_twice() -> None:
    registry = ExecutorRegistry(entry_point_group="none")
    registry.register("echo")(EchoExecutor)

    with pytest.raises(DuplicateKind, match=r"already served by .*EchoExecutor"):
        registry.register("echo")(EchoExecutor)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(UnknownKind, match=r"'fax'. Known kinds: .*script"):
        EXECUTORS.get("fax")


def test_script_is_built_in() -> None:
    assert isinstance(EXECUTORS.get("script"), ScriptExecutor)


def test_options_reach_the_constructor() -> None:
    registry = ExecutorRegistry(entry_point_group="none")
    registry.register("echo")(EchoExecutor)
    assert registry.get("echo").volume == 1  # type: ignore[attr-defined]

    registry.configure("echo", volume=3)

    assert registry.get("echo").volume == 3  # type: ignore[attr-defined]


def test_a_third_party_kind_is_loaded_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = types.ModuleType("echo_plugin")
    plugin.EchoExecutor = EchoExecutor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "echo_plugin", plugin)
    point = importlib.metadata.EntryPoint("echo", "echo_plugin:EchoExecutor", "test.executors")
    asked: list[str] = []

    def entry_points(group: str) -> list[importlib.metadata.EntryPoint]:
        asked.append(group)
        return [point]

    monkeypatch.setattr("executors.registry.entry_points", entry_points)
    registry = ExecutorRegistry(entry_point_group="test.executors")
    assert asked == []

    assert isinstance(registry.get("echo"), EchoExecutor)
    assert asked == ["test.executors"]
